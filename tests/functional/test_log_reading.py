"""Log groups are read whole, once, and slowly enough; the failure queue is only looked into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.diagnose.logs.reading import LogReader, Pace, Tail, marked
from imgpipe_cli.diagnose.retry.failure_queue import peek
from imgpipe_cli.errors import ExitCode, Problem
from tests.support.account import NAMES, RecordingAws, fresh_account, up
from tests.support.api_server import Clock
from tests.support.s3_events import event_of


class PlayedLogs(RecordingAws):
    """Answers FilterLogEvents from pages: function's group -> token -> (events, next token)."""

    def __init__(self, groups: dict[str, dict[str, tuple[list[Any], str | None]]]) -> None:
        super().__init__()
        self.groups = groups
        self.asked: list[dict[str, Any]] = []

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        assert (service, operation, once) == ("logs", "filter_log_events", False)
        self.asked.append(params)
        if params["logGroupName"] not in self.groups:
            raise AwsError("ResourceNotFoundException", "no group", service=service, operation=operation)
        events, token = self.groups[params["logGroupName"]][params.get("nextToken", "")]
        kept = [event for event in events if event["timestamp"] >= params["startTime"]]
        return {"events": kept, **({"nextToken": token} if token else {})}


def event(at_ms: int, text: str, id_: str | None = None) -> dict[str, Any]:
    found = {"timestamp": at_ms, "message": text, "logStreamName": "s"}
    return {**found, "eventId": id_} if id_ else found


INGEST = NAMES.log_group("ingest")
WEB = NAMES.log_group("web")


def tail(aws: PlayedLogs, *functions: str) -> Callable[[], list[str]]:
    made = Tail(LogReader(aws, NAMES), NAMES, functions or ("ingest",), start_ms=0)
    return lambda: [line.message for line in made.new()]


def test_an_empty_page_with_a_token_is_not_the_end() -> None:
    pages = {"": ([event(1, "a")], "t1"), "t1": ([], "t2"), "t2": ([event(2, "b")], None)}
    assert tail(PlayedLogs({INGEST: pages}))() == ["a", "b"]


def test_neither_a_limit_nor_a_pattern_is_sent() -> None:
    aws = PlayedLogs({INGEST: {"": ([event(1, "a")], None)}})
    tail(aws)()
    assert [set(params) for params in aws.asked] == [{"logGroupName", "startTime"}]


def test_several_groups_are_merged_in_the_order_of_time() -> None:
    aws = PlayedLogs(
        {
            INGEST: {"": ([event(1, "a"), event(3, "c")], None)},
            WEB: {"": ([event(2, "b"), event(4, "d")], None)},
        }
    )
    assert tail(aws, "ingest", "web")() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("ids", [("1", "2", "3"), (None, None, None)])
def test_following_tells_each_line_once_also_late_ones(ids: tuple[str | None, ...]) -> None:
    first, same, late = (event(90_000, "a", ids[0]), event(90_000, "a", ids[1]), event(80_000, "l", ids[2]))
    aws = PlayedLogs({INGEST: {"": ([first, same], None)}})
    new = tail(aws)
    assert new() == ["a", "a"]
    assert new() == []
    aws.groups[INGEST] = {"": ([late, first, same], None)}
    assert new() == ["l"]
    assert new() == []
    assert aws.asked[-1]["startTime"] == 60_000


def test_lines_alike_are_told_apart_by_their_place() -> None:
    marks = [mark for mark, _ in marked("web", [event(1, "a"), event(1, "a"), event(2, "a")])]
    assert len(set(marks)) == 3


def test_a_missing_group_means_not_set_up() -> None:
    with pytest.raises(Problem) as missing:
        tail(PlayedLogs({}))()
    assert missing.value.exit_code == ExitCode.NOT_SET_UP


def test_a_reading_stops_at_its_number_of_pages_and_says_so() -> None:
    pages = {"": ([event(1, "a")], "t1"), "t1": ([event(2, "b")], "t2"), "t2": ([], None)}
    reader = LogReader(PlayedLogs({INGEST: pages}), NAMES)
    assert len(reader.events(["ingest"], 0, pages=1)["ingest"] or []) == 1
    assert reader.cut


def test_no_more_than_four_calls_begin_in_a_second() -> None:
    clock = Clock()
    pace = Pace(sleep=clock.sleep, clock=clock)
    begun = []
    for _ in range(10):
        pace.wait()
        begun.append(clock.now)
    assert all(later - earlier >= 1 for earlier, later in zip(begun, begun[4:], strict=False))
    assert begun[3] == 0  # the first ones need not wait


# --- the failure queue ---------------------------------------------------------------------------


@pytest.fixture
def account() -> Iterator[RecordingAws]:
    with fresh_account():
        aws = RecordingAws()
        up(aws)
        yield aws


def record(key: str, version: str = "v1") -> str:
    return json.dumps(
        {
            "requestContext": {
                "requestId": "r1",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": event_of(
                "ObjectCreated:Put", NAMES.bucket, key, sequencer="01", version=version
            ),
            "responsePayload": {"errorMessage": "busy", "errorType": "Unfinished"},
        }
    )


def test_events_of_a_key_are_found_and_everything_stays_in_the_queue(account: RecordingAws) -> None:
    url = account.call("sqs", "get_queue_url", QueueName=NAMES.queue)["QueueUrl"]
    bodies = [record(f"other{number}.jpg") for number in range(12)] + [record("my cat!.jpg"), "junk", "[]"]
    for body in bodies:
        account.call("sqs", "send_message", QueueUrl=url, MessageBody=body)
    for _ in range(2):
        found = peek(account, url, "my cat!.jpg", waiting=15)
        (one,) = found.events
        assert (one.version_id, one.request_id, one.attempts, one.error) == ("v1", "r1", 3, "busy")
        assert (found.searched, found.complete) == (15, True)


def test_a_long_queue_is_searched_in_part_and_said_to_be_longer(account: RecordingAws) -> None:
    url = account.call("sqs", "get_queue_url", QueueName=NAMES.queue)["QueueUrl"]
    for start in range(0, 230, 10):
        entries = [{"Id": str(n), "MessageBody": record(f"{n}.jpg")} for n in range(start, start + 10)]
        account.call("sqs", "send_message_batch", QueueUrl=url, Entries=entries)
    found = peek(account, url, "a.jpg", waiting=230)
    assert (found.searched, found.waiting, found.complete) == (200, 230, False)


def test_an_empty_queue_is_empty(account: RecordingAws) -> None:
    url = account.call("sqs", "get_queue_url", QueueName=NAMES.queue)["QueueUrl"]
    assert peek(account, url, "a.jpg", waiting=0).events == ()
