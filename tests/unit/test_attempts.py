"""Attempts, out of the lines that a function leaves."""

from __future__ import annotations

import json
from typing import Any

from imgpipe_cli.diagnose.explain.attempts import Attempt, attempts, nameless_failures
from imgpipe_cli.diagnose.logs.lines import Line, in_order, line

START_MS = 1_795_374_327_000


class Log:
    """The lines of some runs, each a tenth of a second after the one before."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def say(self, message: Any, *, stream: str = "one") -> None:
        at_ms = START_MS + 100 * len(self.lines)
        said = message if isinstance(message, str) else json.dumps(message)
        event = {"timestamp": at_ms, "message": said, "logStreamName": stream}
        self.lines.append(line("ingest", event))

    def ours(self, event: str, request: str = "r1", key: str = "a", **more: Any) -> dict[str, Any]:
        stream = str(more.pop("stream", "one"))
        document = {"level": "INFO", "event": event, "requestId": request, "key": key, "versionId": "v1"}
        self.say({**document, **more}, stream=stream)
        return document

    def begin(self, request: str = "r1", key: str = "a", **more: Any) -> None:
        self.say(f"START RequestId: {request}", stream=str(more.get("stream", "one")))
        self.ours("record_received", request, key, kind="Arrival", **more)

    def end(self, request: str = "r1", stream: str = "one", ms: float = 50) -> None:
        self.say(f"END RequestId: {request}", stream=stream)
        self.say(f"REPORT RequestId: {request}\tDuration: {ms} ms", stream=stream)

    def of(self, key: str = "a", *requests: str) -> list[Attempt]:
        return attempts(in_order(self.lines), key, frozenset(requests))


def test_a_run_that_ended_well() -> None:
    log = Log()
    log.begin()
    log.ours("rekognition_answered", found={"labels": 3})
    log.ours("record_handled", outcome="done", durationMs=40)
    log.end(ms=52.5)
    (found,) = log.of()
    assert (found.ending, found.outcome) == ("handled", "done")
    assert (found.request_id, found.version_id) == ("r1", "v1")
    assert found.duration_ms == 52.5
    assert found.answers is not None
    assert found.answers["found"] == {"labels": 3}


def test_a_retry_with_the_same_request_id_is_another_attempt() -> None:
    log = Log()
    log.begin()
    log.ours("record_failed", errorMessage="busy")
    log.end()
    log.begin()
    log.ours("record_handled", outcome="done")
    log.end()
    assert [one.ending for one in log.of()] == ["failed", "handled"]


def test_a_retry_is_told_apart_without_lambdas_own_lines() -> None:
    log = Log()
    for _ in range(2):
        log.ours("record_received", kind="Arrival")
        log.ours("record_failed", errorMessage="busy")
    assert [one.error for one in log.of()] == ["busy", "busy"]


def test_runs_side_by_side_are_not_mixed() -> None:
    log = Log()
    log.begin("r1", "a", stream="one")
    log.begin("r2", "b", stream="two")
    log.ours("record_handled", "r2", "b", outcome="failed", stream="two")
    log.ours("record_handled", "r1", "a", outcome="done", stream="one")
    assert [(one.request_id, one.outcome) for one in log.of("a")] == [("r1", "done")]
    assert [(one.request_id, one.outcome) for one in log.of("b")] == [("r2", "failed")]


def test_running_out_of_time_is_an_ending_of_its_own() -> None:
    log = Log()
    log.begin()
    log.say("Task timed out after 3.00 seconds")
    log.end(ms=3000)
    (found,) = log.of()
    assert (found.ending, found.duration_ms) == ("timed_out", 3000)


def test_a_run_that_left_only_its_id_is_found_by_the_id() -> None:
    log = Log()
    log.say("START RequestId: r9")
    log.say("Task timed out after 3.00 seconds")
    log.end("r9")
    assert log.of("a") == []
    assert [one.ending for one in log.of("a", "r9")] == ["timed_out"]


def test_a_run_without_an_end_is_still_running_and_one_without_a_word_crashed() -> None:
    log = Log()
    log.begin("r1", stream="one")
    log.begin("r2", stream="two")
    log.end("r2", stream="two")
    assert [one.ending for one in log.of()] == ["running", "crashed"]


def test_of_an_event_with_several_records_only_the_own_ones_count() -> None:
    log = Log()
    log.begin("r1", "b")
    log.ours("record_failed", "r1", "b", errorMessage="no")
    log.ours("record_received", "r1", "a", kind="Arrival")
    log.ours("record_handled", "r1", "a", outcome="done")
    (found,) = log.of("a")
    assert (found.ending, found.error) == ("handled", "")


def test_runs_that_failed_before_they_named_a_picture_are_kept_apart() -> None:
    log = Log()
    log.say("START RequestId: r1")
    log.say("[ERROR] Runtime.ImportModuleError: Unable to import module 'ingest.app'")
    log.end()
    log.begin("r2")
    log.ours("record_failed", "r2", errorMessage="busy")
    (found,) = nameless_failures(in_order(log.lines))
    assert "Unable to import" in found.error
