"""Running failed pictures again, with the real ingest function, a queue and a bucket of moto's.

What Lambda does with a call is played here: moto runs no functions without Docker.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.diagnose.retry import failure_queue, failures
from imgpipe_cli.diagnose.retry.calling import run_again
from imgpipe_cli.diagnose.retry.failure_queue import Entry, FailedEvent
from imgpipe_cli.diagnose.retry.failures import Places
from imgpipe_cli.diagnose.retry.judging import Current, Picture, judged, settled
from imgpipe_cli.diagnose.retry.retrying import Cleared, at_once, clear
from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, REGION, RecordingAws, fresh_account
from tests.support.api_server import TOKEN, FakeApi, Request, failed, item
from tests.support.fake_lambda import FakeLambda, Rekognition, no_call_outlives_the_account, serving_results

CAT = (Path(__file__).parents[2] / "examples" / "cat.jpg").read_bytes()
NOW = datetime.now(UTC)


class Account(RecordingAws):
    """The account, with Lambda calling the ingest function."""

    def __init__(self) -> None:
        super().__init__()
        self.lambda_ = FakeLambda(NAMES)
        self.refused_deletes = 0
        self.refuse_read: Callable[[str], bool] = lambda _key: False
        self.visible_again = 0
        self.shows_late = False
        self.received: dict[str, Any] = {}

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation == "delete_message_batch" and self.refused_deletes:
            return self._take_out(**params)
        if operation == "receive_message":
            return self._receive(**params)
        if operation == "head_object" and self.shows_late:
            raise AwsError("404", "Not Found", service=service, operation=operation, status=404)
        if (service, operation) != ("lambda", "invoke"):
            return super().call(service, operation, once=once, **params)
        assert once, "sent twice by the SDK, a picture could be paid twice"
        assert params["FunctionName"] == NAMES.function("ingest")
        return self.lambda_.invoke(json.loads(params["Payload"]))

    def _take_out(self, **params: Any) -> dict[str, Any]:
        """SQS refuses the first of the batch."""
        self.refused_deletes -= 1
        refused, *others = params["Entries"]
        done = super().call("sqs", "delete_message_batch", **{**params, "Entries": others}) if others else {}
        return {**done, "Failed": [{"Id": refused["Id"], "Code": "InternalError", "SenderFault": False}]}

    def _receive(self, **params: Any) -> dict[str, Any]:
        """SQS gives what it gave before."""
        if self.visible_again and self.received:
            self.visible_again -= 1
            return self.received
        self.received = super().call("sqs", "receive_message", **params)
        return self.received

    def put(self, key: str, body: bytes = CAT, *, sequencer: str = "01") -> dict[str, Any]:
        return self.lambda_.put(key, body, sequencer=sequencer)

    def delete(self, key: str) -> dict[str, Any]:
        return self.lambda_.delete(key)

    def queue(self, *events: dict[str, Any]) -> None:
        self.lambda_.give_up(*events)

    @property
    def rekognition(self) -> Rekognition:
        return self.lambda_.rekognition

    @property
    def url(self) -> str:
        return self.lambda_.queue_url

    def entries(self) -> tuple[Entry, ...]:
        return failure_queue.read(self, self.url, NAMES.bucket).entries


@pytest.fixture
def account() -> Iterator[Account]:
    with fresh_account():
        aws = Account()
        aws.lambda_.make()
        yield aws
        no_call_outlives_the_account()


@pytest.fixture
def api(account: Account) -> Iterator[FakeApi]:
    with serving_results(account.lambda_) as played:
        played.busy = lambda request: any(map(account.refuse_read, _keys(request)))
        yield played


@pytest.fixture
def places(account: Account, api: FakeApi) -> Places:
    return Places(account, NAMES.bucket, Api(api.url, TOKEN))


def _keys(request: Request) -> list[str]:
    """The pictures that it asks for: one, or several together."""
    return list((request.document or {}).get("keys", [request.query.get("key", "")]))


def survey(places: Places, account: Account, *keys: str) -> dict[str, Picture]:
    contents = failure_queue.read(account, account.url, NAMES.bucket)
    return {one.key: one for one in failures.survey(places, contents.entries, keys)}


def again(places: Places, pictures: Sequence[Picture], *, timeout_s: float = 60) -> dict[str, Picture]:
    outcomes: list[Picture] = []
    assert run_again(places, NAMES, pictures, outcomes.append, timeout_s=timeout_s) == []
    assert len(outcomes) == len(pictures)
    return {one.key: one for one in outcomes}


def retry(places: Places, account: Account, *keys: str) -> tuple[dict[str, Picture], Cleared]:
    """As the command does it for what may end well now."""
    found = survey(places, account, *keys)
    outcomes = again(places, [one for one in found.values() if one.state == "failed"])
    return outcomes, clear(places, account.url, keys or None)


# --- from failure to result ---------------------------------------------------------------------


def test_pictures_without_a_result_get_one_and_their_entries_leave(account: Account, places: Places) -> None:
    keys = [f"{number}.jpg" for number in range(23)] + ["a b+c%2B#?ü.jpg"]
    for key in keys:
        account.queue(account.put(key))
    account.queue(account.put("twice.jpg"), account.put("twice.jpg", sequencer="02"))
    found = survey(places, account)
    assert {one.code for one in found.values()} == {"timed_out"}
    outcomes, cleared = retry(places, account)
    assert {key: one.state for key, one in outcomes.items()} == dict.fromkeys([*keys, "twice.jpg"], "done")
    assert (cleared.taken, cleared.left, account.lambda_.waiting()) == (26, (), 0)
    assert sorted(account.rekognition.asked) == sorted([*keys, "twice.jpg"])


def test_an_entry_stays_until_its_picture_has_a_result(account: Account, places: Places) -> None:
    account.rekognition.trouble = "ThrottlingException"
    account.queue(account.put("a.jpg"), account.put("a.txt", b"no picture"))
    outcomes, cleared = retry(places, account)
    assert (outcomes["a.jpg"].state, outcomes["a.jpg"].code) == ("failed", "throttled")
    assert (outcomes["a.txt"].state, outcomes["a.txt"].code) == ("failed", "unsupported_format")
    assert (cleared.taken, account.lambda_.waiting()) == (1, 1)
    account.rekognition.trouble = ""
    outcomes, cleared = retry(places, account, "a.jpg")
    assert (outcomes["a.jpg"].state, cleared.taken, account.lambda_.waiting()) == ("done", 1, 0)


def test_a_pass_without_a_run_takes_out_only_what_is_settled(account: Account, places: Places) -> None:
    """As after a run that was killed before it came to the queue."""
    done, open_, gone = account.put("done.jpg"), account.put("open.jpg"), account.put("gone.jpg")
    account.queue(done, open_, gone, done)
    account.lambda_.run(done)
    account.delete("gone.jpg")
    assert clear(places, account.url, ["open.jpg"]).taken == 0
    assert clear(places, account.url, None).taken == 3
    (left,) = account.entries()
    assert left.events[0].key == "open.jpg"
    assert account.rekognition.asked == ["done.jpg"]


def test_the_result_of_an_older_version_settles_nothing(account: Account, places: Places) -> None:
    old = account.put("a.jpg")
    account.lambda_.run(old)
    account.queue(account.put("a.jpg", sequencer="02"))
    assert clear(places, account.url, None).taken == 0
    outcomes, cleared = retry(places, account)
    assert (outcomes["a.jpg"].state, cleared.taken) == ("done", 1)


def test_what_is_not_this_pipelines_is_left_and_named(account: Account, places: Places) -> None:
    gone = account.lambda_.event("ObjectCreated:Put", "a.jpg", "01", "v1")
    account.queue(gone)
    sqs = boto3.client("sqs", region_name=REGION)
    other = json.dumps(gone).replace(NAMES.bucket, "other")
    for body in ("junk", "[]", '{"requestPayload": {"Records": []}}', f'{{"requestPayload": {other}}}'):
        sqs.send_message(QueueUrl=account.url, MessageBody=body)
    cleared = clear(places, account.url, None)
    assert cleared.taken == 1  # there is no picture a.jpg
    assert sorted(entry.trouble for entry in cleared.left) == [
        "it cannot be read",
        "it cannot be read",
        "it holds no event",
        "it is about the bucket other",
    ]


@pytest.mark.parametrize("how", ["no key", "no UTF-8"])
def test_a_record_that_cannot_be_read_hides_no_other_and_keeps_its_entry(
    account: Account, places: Places, how: str
) -> None:
    good = account.put("a.jpg")
    bad = json.loads(json.dumps(good))["Records"][0]
    bad["s3"]["object"] = {} if how == "no key" else {**bad["s3"]["object"], "key": "a%FF.jpg"}
    account.queue({"Records": [bad, *good["Records"]]})
    outcomes, cleared = retry(places, account)
    assert {key: one.state for key, one in outcomes.items()} == {"a.jpg": "done"}
    assert cleared.taken == 0
    assert [entry.trouble for entry in cleared.left] == ["a record in it cannot be read"]


def test_a_key_that_is_not_utf8_is_no_key_that_is_gone(account: Account, places: Places) -> None:
    event = account.put("a.jpg")
    event["Records"][0]["s3"]["object"]["key"] = "a%FF.jpg"
    account.queue(event)
    assert clear(places, account.url, None).taken == 0
    assert account.lambda_.waiting() == 1


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_delete_that_sqs_refuses_is_sent_once_more(account: Account, places: Places, refusals: int) -> None:
    events = [account.put(f"{number}.jpg") for number in range(3)]
    account.queue(*events)
    for event in events:
        account.lambda_.run(event)
    account.refused_deletes = refusals
    cleared = clear(places, account.url, None)
    assert (cleared.taken, len(cleared.left)) == ((3, 0) if refusals == 1 else (2, 1))
    assert account.lambda_.waiting() == len(cleared.left)


def test_a_queue_is_complete_only_once_nothing_more_comes(account: Account, places: Places) -> None:
    """What was received first may be visible again before the end; it is no sign of the end."""
    account.queue(*(account.put(f"{number:02}.jpg") for number in range(25)))
    account.visible_again = 1
    contents = failure_queue.read(account, account.url, NAMES.bucket)
    assert (len(contents.entries), contents.complete) == (25, True)
    account.visible_again = 100
    contents = failure_queue.read(account, account.url, NAMES.bucket)
    assert not contents.complete


def test_what_others_hold_is_not_touched(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    sqs = boto3.client("sqs", region_name=REGION)
    (theirs,) = sqs.receive_message(QueueUrl=account.url, MaxNumberOfMessages=1, VisibilityTimeout=600)[
        "Messages"
    ]
    contents = failure_queue.read(account, account.url, NAMES.bucket)
    assert (len(contents.entries), contents.elsewhere) == (1, 1)
    retry(places, account)
    sqs.change_message_visibility(
        QueueUrl=account.url, ReceiptHandle=theirs["ReceiptHandle"], VisibilityTimeout=0
    )
    assert account.lambda_.waiting() == 1


def test_a_failed_removal_is_carried_out(account: Account, places: Places) -> None:
    account.lambda_.run(account.put("a.jpg"))
    account.queue(account.delete("a.jpg"))
    assert survey(places, account)["a.jpg"].code == "not_removed"
    outcomes, cleared = retry(places, account)
    assert (outcomes["a.jpg"].state, cleared.taken, account.lambda_.waiting()) == ("gone", 1, 0)
    assert survey(places, account, "a.jpg") == {}


def test_a_removal_of_an_older_picture_never_takes_a_newer_ones_result(
    account: Account, places: Places
) -> None:
    account.lambda_.run(account.put("a.jpg"))
    account.queue(account.delete("a.jpg"))
    account.queue(account.put("a.jpg", sequencer="0A"))
    outcomes, cleared = retry(places, account)
    assert (outcomes["a.jpg"].state, cleared.taken) == ("done", 2)
    assert len(account.rekognition.asked) == 2


def test_one_busy_answer_of_the_api_is_asked_for_again(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    busy = iter([True, False, True, True, False, True])
    account.refuse_read = lambda key: key == "a.jpg" and next(busy, False)
    outcomes, cleared = retry(places, account)
    assert {one.state for one in outcomes.values()} == {"done"}
    assert cleared.taken == 2


def test_a_picture_that_cannot_be_read_is_unknown_and_the_others_go_on(
    account: Account, places: Places
) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    account.refuse_read = lambda key: key == "a.jpg"
    assert {key: one.state for key, one in survey(places, account).items()} == {
        "a.jpg": "unknown",
        "b.jpg": "failed",
    }
    outcomes, cleared = retry(places, account)
    assert {key: one.state for key, one in outcomes.items()} == {"b.jpg": "done"}
    assert cleared.taken == 1


def test_a_picture_that_cannot_be_read_after_it_ran_stops_no_other(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    pictures = list(survey(places, account).values())
    account.refuse_read = lambda key: key == "a.jpg"
    outcomes = again(places, pictures)
    assert {key: one.state for key, one in outcomes.items()} == {"a.jpg": "unknown", "b.jpg": "done"}


def test_the_old_failure_of_a_picture_that_is_gone_is_told_only_to_those_who_ask(
    account: Account, places: Places
) -> None:
    account.lambda_.run(account.put("a.txt", b"no picture"))
    account.delete("a.txt")
    assert survey(places, account) == {}
    told = survey(places, account, "a.txt")["a.txt"]
    assert (told.state, told.code) == ("gone", "removed")


def test_what_nobody_noticed_is_found_when_it_is_asked_for(account: Account, places: Places) -> None:
    """No event came: of the only version, or of the newest one."""
    account.put("lost.jpg")
    account.lambda_.run(account.put("done.jpg"))
    account.lambda_.run(account.put("stale.jpg"))
    account.put("stale.jpg", CAT + b"more")
    account.put("pics/", b"")
    assert survey(places, account) == {}
    long_ago = failures.survey(places, (), (), missing=True)
    assert {one.key: (one.state, one.code) for one in long_ago} == {
        "lost.jpg": ("pending", "no_event_yet"),
        "stale.jpg": ("pending", "no_event_yet"),
        "pics/": ("nothing", "folder"),
    }


def test_a_folder_needs_nothing(account: Account, places: Places) -> None:
    account.put("pics/", b"")
    folder = Current("v1", "e", 0, NOW - timedelta(days=1))
    assert survey(places, account, "pics/")["pics/"].state == "nothing"
    assert judged("pics/", folder, None, (), NOW).state == "nothing"
    assert judged("pics/", replace(folder, size_bytes=1), None, (), NOW).state == "failed"


# --- while it runs -------------------------------------------------------------------------------


def test_overwritten_meanwhile_it_is_pending_and_its_entry_stays(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"))
    account.lambda_.before = lambda _event: account.put("a.jpg", sequencer="02")
    outcomes, cleared = retry(places, account)
    assert (outcomes["a.jpg"].state, outcomes["a.jpg"].code) == ("pending", "no_event_yet")
    assert (cleared.taken, account.rekognition.asked) == (0, [])


def test_removed_meanwhile_it_is_gone_and_nothing_is_paid(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"))
    account.lambda_.before = lambda _event: account.delete("a.jpg")
    outcomes, cleared = retry(places, account)
    assert (outcomes["a.jpg"].state, cleared.taken, account.rekognition.asked) == ("gone", 1, [])


def test_new_pictures_keep_half_of_the_runs_that_the_function_may_have() -> None:
    caps = {tps: at_once(Settings(rekognition_tps=tps)) for tps in (1, 5, 8, 10, 50)}
    assert caps == {1: 1, 5: 2, 8: 3, 10: 4, 50: 4}
    assert at_once(Settings(capped=False)) == at_once(Settings()) == 4


def test_no_more_calls_are_made_at_once_than_it_is_told(account: Account, places: Places) -> None:
    for number in range(4):
        account.queue(account.put(f"{number}.jpg"))
    callers: list[str] = []
    account.lambda_.before = lambda _event: callers.append(threading.current_thread().name)
    pictures = list(survey(places, account).values())
    assert run_again(places, NAMES, pictures, lambda _picture: None, timeout_s=60, at_once=1) == []
    assert callers == ["retry-0"] * 4


def test_lambda_is_asked_again_while_it_is_too_busy(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"))
    refusals = iter(range(3))

    def busy(_event: dict[str, Any]) -> None:
        if next(refusals, None) is not None:
            raise AwsError("TooManyRequestsException", "Rate Exceeded.", status=429)

    account.lambda_.before = busy
    outcomes, _ = retry(places, account)
    assert (outcomes["a.jpg"].state, account.rekognition.asked) == ("done", ["a.jpg"])


def test_a_lost_answer_is_looked_for_and_not_asked_for_again(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"))

    def lost(_event: dict[str, Any]) -> None:
        raise AwsError("Unreachable", "Read timeout", service="lambda", operation="invoke")

    account.lambda_.after = lost
    outcomes, _ = retry(places, account)
    assert (outcomes["a.jpg"].state, account.rekognition.asked) == ("done", ["a.jpg"])


def test_without_any_result_after_a_lost_answer_it_is_pending(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"))

    def lost(_event: dict[str, Any]) -> None:
        raise AwsError("Unreachable", "Connection reset", service="lambda", operation="invoke")

    account.lambda_.before = lost
    outcomes = again(places, list(survey(places, account).values()), timeout_s=300)
    assert (outcomes["a.jpg"].state, outcomes["a.jpg"].code) == ("pending", "answer_lost")
    assert clear(places, account.url, None).taken == 0


def test_nobody_waits_longer_than_told_for_a_lost_answer(account: Account, places: Places) -> None:
    account.queue(*(account.put(f"{number}.jpg") for number in range(6)))
    called: list[Any] = []

    def lost(event: dict[str, Any]) -> None:
        called.append(event)
        raise AwsError("Unreachable", "Connection reset", service="lambda", operation="invoke")

    account.lambda_.before = lost
    pictures = list(survey(places, account).values())
    left = run_again(places, NAMES, pictures, lambda one: pytest.fail(one.key), timeout_s=60, at_once=2)
    assert sorted(one.key for one in left) == [f"{number}.jpg" for number in range(6)]
    assert len(called) == 2, "nothing else is called while their answers may still come"


def test_results_are_read_together(account: Account, places: Places, api: FakeApi) -> None:
    """Here all calls that have not ended before the first look end before the second."""
    account.queue(*(account.put(f"{number:02}.jpg") for number in range(30)))
    pictures = list(survey(places, account).values())
    api.asked.clear()

    def pause(_seconds: float) -> None:
        no_call_outlives_the_account()

    account.sleep = pause
    assert {one.state for one in again(places, pictures).values()} == {"done"}
    assert len(api.asked) <= 2


@pytest.mark.parametrize(
    ("code", "problem"),
    [("ResourceNotFoundException", "function_missing"), ("AccessDeniedException", "access_denied")],
)
def test_what_would_stop_every_call_ends_the_run(
    account: Account, places: Places, code: str, problem: str
) -> None:
    for number in range(30):
        account.queue(account.put(f"{number}.jpg"))

    def refuse(_event: dict[str, Any]) -> None:
        raise AwsError(code, "no", service="lambda", operation="invoke", status=404)

    account.lambda_.before = refuse
    with pytest.raises(Problem) as told:
        retry(places, account)
    assert told.value.code == problem
    assert account.lambda_.waiting() == 30


def test_pictures_still_open_when_nothing_comes_are_told(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    hold = threading.Event()
    account.lambda_.before = lambda _event: hold.wait(30)
    pictures = list(survey(places, account).values())
    left = run_again(places, NAMES, pictures, lambda _picture: None, timeout_s=0)
    assert sorted(one.key for one in left) == ["a.jpg", "b.jpg"]
    hold.set()


# --- what it means (pure) ------------------------------------------------------------------------

CURRENT = Current("v2", "e2", 100, NOW - timedelta(days=1))


def arrival(version: str | None = "v2", **changes: Any) -> FailedEvent:
    values: dict[str, Any] = {"condition": "RetriesExhausted", "error": "Task timed out after 120 seconds"}
    return FailedEvent(NOW, version, "r1", 3, key="a.jpg", **(values | changes))


@pytest.mark.parametrize(
    ("stored", "events", "state", "code", "helps"),
    [
        (item("a.jpg", "v2"), (arrival(),), "done", "", False),
        (failed("a.jpg", retryable=False, version="v2"), (), "failed", "throttled", False),
        (failed("a.jpg", retryable=True, version="v2"), (), "failed", "throttled", True),
        (failed("a.jpg", retryable=True, version="v2", at=NOW.isoformat()), (), "pending", "retrying", False),
        (
            failed("a.jpg", retryable=True, version="v2", at=NOW.isoformat()),
            (arrival(),),
            "failed",
            "throttled",
            True,
        ),
        (None, (arrival(),), "failed", "timed_out", True),
        (None, (arrival(error="User is not authorized"),), "failed", "access_denied", True),
        (None, (arrival(error="", condition="EventAgeExceeded"),), "failed", "too_late", True),
        (None, (arrival(error="KeyError: 'x'"),), "failed", "function_failed", True),
        (None, (), "failed", "never_received", True),
        (item("a.jpg", "v1"), (arrival("v1"),), "failed", "never_received", True),
    ],
)
def test_how_a_picture_stands(
    stored: Any, events: tuple[FailedEvent, ...], state: str, code: str, *, helps: bool
) -> None:
    one = judged("a.jpg", CURRENT, stored, events, NOW)
    assert (one.state, one.code, one.helps) == (state, code, helps)


@pytest.mark.parametrize(("minutes", "state"), [(1, "pending"), (5, "pending"), (20, "failed")])
def test_an_event_may_take_minutes_as_explain_says_too(minutes: int, state: str) -> None:
    sent = Current("v2", "e2", 100, NOW - timedelta(minutes=minutes))
    assert judged("a.jpg", sent, None, (), NOW).state == state


def test_a_new_picture_is_waited_for() -> None:
    new = Current("v2", "e2", 100, NOW)
    assert judged("a.jpg", new, None, (), NOW).state == "pending"
    assert judged("a.jpg", new, None, (arrival(),), NOW).state == "failed"


def test_without_versions_the_etag_tells_whose_result_it_is() -> None:
    current = Current(None, "e2", 100, NOW - timedelta(days=1))
    assert judged("a.jpg", current, item("a.jpg", None, eTag="e2"), (), NOW).state == "done"
    assert judged("a.jpg", current, item("a.jpg", None, eTag="e1"), (), NOW).code == "never_received"


@pytest.mark.parametrize(
    ("event", "current", "stored", "over"),
    [
        (arrival(), CURRENT, None, False),
        (arrival(), CURRENT, item("a.jpg", "v2"), True),
        (arrival("v1"), CURRENT, item("a.jpg", "v2"), True),
        (arrival("v1"), CURRENT, item("a.jpg", "v1"), False),
        (arrival(), CURRENT, failed("a.jpg", retryable=False, version="v2"), True),
        (arrival(), CURRENT, failed("a.jpg", retryable=True, version="v2"), False),
        (arrival(), None, None, True),
        (arrival(kind="other"), CURRENT, None, True),
        (arrival(None, kind="removal", sequencer="05"), None, None, True),
        (arrival(None, kind="removal", sequencer="05"), None, item("a.jpg", sequencer="04"), False),
        (arrival(None, kind="removal", sequencer="05"), CURRENT, item("a.jpg", "v2", sequencer="04"), True),
        (arrival(None, kind="removal", sequencer="05"), CURRENT, item("a.jpg", "v1", sequencer="04"), False),
        (arrival(None, kind="removal", sequencer="05"), None, item("a.jpg", sequencer="06"), True),
        (arrival("v1", kind="removal", sequencer="05"), None, item("a.jpg", "v2", sequencer="04"), False),
    ],
)
def test_when_an_entry_may_leave_the_queue(
    event: FailedEvent, current: Current | None, stored: Any, *, over: bool
) -> None:
    assert settled(event, current, stored) is over


# --- objects that S3 shows late ------------------------------------------------------------------


def test_a_picture_that_s3_shows_late_is_kept(account: Account, places: Places) -> None:
    """HeadObject finds nothing, and the lists do: it is no picture that was removed."""
    account.queue(account.put("a.jpg"))
    account.put("b.jpg")
    account.put("b.jpg.png")
    account.shows_late = True
    assert clear(places, account.url, None).taken == 0
    missing = {one.key: one for one in failures.survey(places, (), (), missing=True)}
    assert {one.state for one in missing.values()} == {"pending"}
    assert sorted(missing) == ["a.jpg", "b.jpg", "b.jpg.png"]
    outcomes, cleared = retry(places, account, "a.jpg")
    assert (outcomes["a.jpg"].state, cleared.taken, account.lambda_.waiting()) == ("done", 1, 0)


def test_a_removed_picture_is_none_that_s3_shows_late(account: Account, places: Places) -> None:
    account.put("a.jpg.png")
    account.queue(account.put("a.jpg"))
    account.delete("a.jpg")
    account.shows_late = True
    assert survey(places, account)["a.jpg"].state == "gone"
    assert clear(places, account.url, None).taken == 1
