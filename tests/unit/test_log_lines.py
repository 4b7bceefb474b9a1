"""Every form in which a log line can come is understood, and none is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgpipe_cli.diagnose.logs.lines import Line, in_order, line
from imgpipe_cli.render.log_lines import document, text

AT_MS = 1_795_374_327_173  # 2026-11-22T19:05:27.173Z
ID = "f3d84440-92f5-4fcf-b79b-aa433facdc36"


def read(message: Any, *, at_ms: int = AT_MS, stream: str = "one") -> Line:
    said = message if isinstance(message, str) else json.dumps(message)
    return line("ingest", {"timestamp": at_ms, "message": said, "logStreamName": stream})


OURS = {
    "timestamp": "2026-11-22T19:05:27.161+00:00",
    "level": "WARN",
    "event": "record_failed",
    "errorMessage": "throttled: too busy",
    "requestId": ID,
    "key": "a b.jpg",
}


@pytest.mark.parametrize(
    "message",
    [
        OURS,
        {"timestamp": "2026-11-22T19:05:28Z", "level": "INFO", "message": OURS, "requestId": ID},
        {"timestamp": "2026-11-22T19:05:28Z", "level": "INFO", "message": json.dumps(OURS), "requestId": ID},
    ],
)
def test_our_own_line_is_the_same_bare_and_wrapped(message: Any) -> None:
    found = read(message)
    assert (found.message, found.level, found.request_id) == ("record_failed", "WARN", ID)
    assert (found.failed, found.warns) == (False, True)
    assert found.fields == {"errorMessage": "throttled: too busy", "key": "a b.jpg"}
    assert document(found)["timestamp"] == "2026-11-22T19:05:27.161Z"
    assert not found.platform


@pytest.mark.parametrize(
    ("message", "kind", "duration"),
    [
        (f"START RequestId: {ID} Version: $LATEST", "start", None),
        (f"END RequestId: {ID}\n", "end", None),
        (f"REPORT RequestId: {ID}\tDuration: 973.5 ms\tBilled Duration: 974 ms", "report", 973.5),
        ({"type": "platform.start", "record": {"requestId": ID}}, "start", None),
        ({"type": "platform.runtimeDone", "record": {"requestId": ID, "status": "success"}}, "end", None),
        (
            {
                "time": "2026-11-22T19:05:28.000Z",
                "type": "platform.report",
                "record": {"requestId": ID, "metrics": {"durationMs": 973.5}, "status": "success"},
            },
            "report",
            973.5,
        ),
    ],
)
def test_lambdas_own_lines_are_told_apart(message: Any, kind: str, duration: float | None) -> None:
    found = read(message)
    assert (found.platform, found.kind, found.request_id) == (True, kind, ID)
    assert found.fields.get("durationMs") == duration
    assert not found.failed


@pytest.mark.parametrize(
    "message", ["INIT_START Runtime Version: python:3.12", {"type": "platform.initStart"}]
)
def test_lines_about_no_run_are_lambdas_too(message: Any) -> None:
    assert (read(message).platform, read(message).kind) == (True, "")


@pytest.mark.parametrize(
    "message",
    [
        "Task timed out after 3.00 seconds",
        f"2026-11-22T19:05:27.173Z {ID} Task timed out after 3.00 seconds\n\n",
        {"type": "platform.report", "record": {"requestId": ID, "status": "timeout"}},
        f"REPORT RequestId: {ID}\tDuration: 3000.00 ms\tStatus: timeout",
    ],
)
def test_running_out_of_time_is_an_error(message: Any) -> None:
    assert read(message).timed_out
    assert read(message).failed


@pytest.mark.parametrize(
    "message",
    [
        "[ERROR] ValueError: no",
        "Traceback (most recent call last):",
        {"log_level": "ERROR", "errorType": "ValueError", "errorMessage": "no", "requestId": ID},
        {"level": "CRITICAL", "message": "no"},
    ],
)
def test_failures_of_any_form_are_errors(message: Any) -> None:
    assert read(message).failed


@pytest.mark.parametrize("message", ["", "plain", "{broken", "[1, 2]", '"text"', "{}", '{"message": null}'])
def test_nothing_stops_the_reading(message: str) -> None:
    found = read(message)
    assert not found.failed
    assert text(found).startswith("20")


def test_lines_are_merged_by_the_time_they_say_themselves() -> None:
    # All of a run's lines carry the time of its end here, as some endpoints write them.
    lines = [
        read(f"START RequestId: {ID}"),
        read(OURS),
        read(f"END RequestId: {ID}"),
        line("web", {"timestamp": AT_MS - 5, "message": "between", "logStreamName": "two"}),
    ]
    assert [one.message.split()[0] for one in in_order(lines)] == ["START", "record_failed", "between", "END"]


def test_a_line_for_people_has_what_they_look_for_first() -> None:
    shown = text(read(OURS))
    said = shown.split("  ", 1)[1]
    assert said == (
        'ingest      WARN record failed  key="a b.jpg"  errorMessage="throttled: too busy"  request=f3d84440'
    )


def test_nothing_from_a_line_reaches_the_terminal_as_a_command() -> None:
    shown = text(read({**OURS, "key": "a\x1b[2J.jpg", "event": "x\x07"}), verbose=True)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\x1b" not in text(read("plain \x1b[31m"))


def test_a_traceback_is_for_verbose() -> None:
    found = read({**OURS, "stackTrace": 'Traceback:\n  File "a.py"'})
    assert "File" not in text(found)
    assert text(found, verbose=True).splitlines()[1:] == ["    Traceback:", '      File "a.py"']


def test_a_traceback_in_many_lines_is_one_line_that_says_its_end() -> None:
    rows = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "", "ValueError: no"]
    lines = in_order([read(OURS), *map(read, rows), read(f"END RequestId: {ID}")])
    assert [one.message for one in lines] == ["record_failed", "ValueError: no", f"END RequestId: {ID}"]
    assert lines[1].failed
    assert lines[1].fields["stackTrace"] == "\n".join(rows)
    assert "File" not in text(lines[1])
    assert '      File "a.py", line 1, in f' in text(lines[1], verbose=True)
