"""The failure queue as retry reads it: when an entry leaves it, and when it stays."""

from __future__ import annotations

import json

import boto3
import pytest

from imgpipe_cli.diagnose.retry import failure_queue
from imgpipe_cli.diagnose.retry.failures import Places
from imgpipe_cli.diagnose.retry.retrying import clear
from tests.functional.retry.conftest import Account, retry
from tests.support.account import NAMES, REGION


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
