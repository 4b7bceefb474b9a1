"""Failed pictures run again, with the real ingest function: how each ends, whatever happens meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.diagnose.retry.calling import run_again
from imgpipe_cli.diagnose.retry.failures import Places
from imgpipe_cli.diagnose.retry.retrying import at_once, clear
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.settings import Settings
from tests.functional.retry.conftest import Account, again, retry, survey
from tests.support.account import NAMES
from tests.support.api_server import FakeApi
from tests.support.fake_lambda import no_call_outlives_the_account


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


def test_a_picture_that_cannot_be_read_after_it_ran_stops_no_other(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    pictures = list(survey(places, account).values())
    account.refuse_read = lambda key: key == "a.jpg"
    outcomes = again(places, pictures)
    assert {key: one.state for key, one in outcomes.items()} == {"a.jpg": "unknown", "b.jpg": "done"}


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


def test_pictures_still_open_when_nothing_comes_are_told(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    hold = threading.Event()
    account.lambda_.before = lambda _event: hold.wait(60)
    pictures = list(survey(places, account).values())
    left = run_again(places, NAMES, pictures, lambda _picture: None, timeout_s=0)
    assert sorted(one.key for one in left) == ["a.jpg", "b.jpg"]
    hold.set()
