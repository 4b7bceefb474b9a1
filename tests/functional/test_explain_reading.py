"""`explain` reads the lines of the runs that were about the picture, and all only where there are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imgpipe_cli.aws.client import Place
from imgpipe_cli.diagnose.explain.attempts import attempts, nameless_failures
from imgpipe_cli.diagnose.explain.log_reading import ingest_lines
from imgpipe_cli.diagnose.logs.reading import LogReader
from tests.support.account import NAMES, RecordingAws, fresh_account

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
END = START + timedelta(hours=1)
NOBODY: frozenset[str] = frozenset()


def run(request: str, key: str | None, *, second: int, **ended: Any) -> list[dict[str, Any]]:
    """The lines of one run, as AWS keeps them; without a key it ended before it named one."""
    at = (START + timedelta(seconds=second)).isoformat()
    own: dict[str, Any] = {"timestamp": at, "level": "INFO", "requestId": request, "key": key}
    lines: list[dict[str, Any]] = [{"time": at, "type": "platform.start", "record": {"requestId": request}}]
    if key is not None:
        lines += [{**own, "event": "record_received"}, {**own, "event": "record_handled", "outcome": "done"}]
    return [*lines, {"time": at, "type": "platform.report", "record": {"requestId": request, **ended}}]


class CountedLogs(RecordingAws):
    """How many events AWS gave, and for which patterns."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Place(region=NAMES.region)  # with keys of its own it would be the local cloud
        self.given = 0
        self.patterns: list[str | None] = []

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        answer = super().call(service, operation, once=once, **params)
        if operation == "filter_log_events":
            self.given += len(answer["events"])
            self.patterns.append(params.get("filterPattern"))
        return answer


@pytest.fixture
def aws() -> Iterator[CountedLogs]:
    with fresh_account():
        yield CountedLogs()


def log(aws: RecordingAws, *runs: list[dict[str, Any]]) -> None:
    client, group = aws.client("logs"), NAMES.log_group("ingest")
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="s")
    at = round(START.timestamp() * 1000) + 1000
    events = [{"timestamp": at, "message": json.dumps(line)} for lines in runs for line in lines]
    client.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


OTHERS = [run(f"other-{number}", f"{number}.jpg", second=number) for number in range(200)]


@pytest.mark.parametrize("key", ["a b.jpg", "é/a+b.jpg", 'say "hi".jpg'])
def test_only_lines_of_the_pictures_runs_are_read(aws: CountedLogs, key: str) -> None:
    log(aws, *OTHERS[:100], run("r1", key, second=300, status="success"), *OTHERS[100:])
    lines, complete = ingest_lines(LogReader(aws, NAMES), key, NOBODY, START, END)
    assert [line.message for line in lines] == [
        *("platform.start", "record_received", "record_handled", "platform.report")
    ]
    assert complete and [one.ending for one in attempts(lines, key)] == ["handled"]
    assert aws.given == 2 + 4


def test_a_run_that_named_nothing_is_known_by_its_request(aws: CountedLogs) -> None:
    log(aws, *OTHERS, run("lost", None, second=300, status="timeout"))
    lines, _ = ingest_lines(LogReader(aws, NAMES), "a.jpg", frozenset({"lost"}), START, END)
    assert [one.ending for one in attempts(lines, "a.jpg", frozenset({"lost"}))] == ["timed_out"]
    assert aws.patterns == ['"a.jpg"', '"lost"']
    assert aws.given == 2


def test_without_a_run_of_the_picture_everything_is_read(aws: CountedLogs) -> None:
    log(aws, *OTHERS, run("lost", None, second=300, status="timeout"))
    lines, complete = ingest_lines(LogReader(aws, NAMES), "a.jpg", NOBODY, START, END)
    assert complete and [one.ending for one in nameless_failures(lines)] == ["timed_out"]
    assert aws.patterns == ['"a.jpg"', None]


def test_a_key_that_the_log_writes_differently_is_looked_for_without_a_pattern(aws: CountedLogs) -> None:
    log(aws, *OTHERS, run("r1", "日本", second=300))
    lines, _ = ingest_lines(LogReader(aws, NAMES), "日本", NOBODY, START, END)
    assert [one.ending for one in attempts(lines, "日本")] == ["handled"]
    assert aws.patterns == [None]


class Elsewhere(CountedLogs):
    """At an endpoint of the user's own."""

    @property
    def custom_endpoint(self) -> str | None:
        return "http://127.0.0.1:4599"


def test_an_endpoint_that_is_not_aws_gets_no_pattern() -> None:
    with fresh_account():
        aws = Elsewhere()
        log(aws, *OTHERS[:3], run("r1", "a.jpg", second=300))
        lines, _ = ingest_lines(LogReader(aws, NAMES), "a.jpg", NOBODY, START, END)
    assert [one.ending for one in attempts(lines, "a.jpg")] == ["handled"]
    assert aws.patterns == [None]
