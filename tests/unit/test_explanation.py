"""From what was found to the conclusion: what happened, and what to do."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imgpipe_cli.deploy.plan import ResourceState
from imgpipe_cli.diagnose.explain.attempts import Attempt
from imgpipe_cli.diagnose.explain.evidence import Evidence, Version
from imgpipe_cli.diagnose.explain.explanation import Conclusion, conclusion
from imgpipe_cli.diagnose.explain.timeline import timeline
from imgpipe_cli.diagnose.logs.lines import Line
from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent, Peek
from imgpipe_cli.diagnose.retry.judging import Current, Picture, judged
from imgpipe_cli.diagnose.retry.retrying import Retry
from imgpipe_cli.render.explanations import document, show
from imgpipe_cli.render.failures import errors
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.render.text import safe
from imgpipe_cli.session.times import iso
from shared.result_item import ResultItem
from tests.support.api_server import item

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SENT = NOW - timedelta(seconds=30)
VERSION = Version("v2", SENT, 1000, latest=True)
OLD = Version("v1", SENT - timedelta(hours=1), 900, latest=False)


def found(**changes: Any) -> Evidence:
    """A picture sent half a minute ago, of which nothing else is known; with changes."""
    base = Evidence(
        key="a.jpg",
        now=NOW,
        versions=(VERSION, OLD),
        near=(),
        result=None,
        result_error="",
        parts=(),
        attempts=(),
        failures=(),
        logs_complete=True,
        queue=Peek(),
        api_errors=(),
    )
    return replace(base, **changes)


def attempt(ending: Any = "failed", *, ago_s: float = 20, **changes: Any) -> Attempt:
    at = NOW - timedelta(seconds=ago_s)
    base = Attempt(
        began=at,
        ended=at,
        ending=ending,
        request_id="r1",
        version_id="v2",
        kind="Arrival",
        outcome="",
        error="ValueError: no" if ending == "failed" else "",
        duration_ms=1500.0,
        answers=None,
        lines=(),
    )
    return replace(base, **changes)


def part(name: str, state: Any = "missing", *drift: str) -> ResourceState:
    return ResourceState("step", name, state, drift)


def queued(version_id: str | None = "v2") -> Peek:
    event = FailedEvent(NOW, version_id, "r1", 3, "RetriesExhausted", "busy")
    return Peek((event,), searched=1, waiting=1)


def failure(*, retryable: bool, at: datetime = NOW, **more: int) -> ResultItem:
    error = {
        "code": "access_denied",
        "message": "Not allowed.",
        "hint": "Wait.",
        "retryable": retryable,
        **more,
    }
    return item("a.jpg", "v2", iso(at), status="failed", error=error)


def told(**changes: Any) -> Conclusion:
    return conclusion(found(**changes))


# --- commands to copy ---------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    "key", ["a\tb.jpg", "-\n\x1b[31m.jpg", "rtl\u202egpj.jpg", "\x85\U000e0001.jpg", "it's\\t\t"]
)
def test_a_key_that_no_terminal_shows_is_advised_so_that_a_shell_reads_it(key: str) -> None:
    shown = safe(told(key=key, result=item(key, "v2")).advice.partition(": ")[2])
    program = f"imgpipe() {{ printf '%s\\0' \"$@\"; }}; LC_ALL=C.UTF-8; {shown}"
    printed = subprocess.run(["bash", "-c", program], capture_output=True, check=True).stdout
    arguments = printed.decode().split("\0")[:-1]
    assert arguments == ["result", *(["--"] if key.startswith("-") else []), key]


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        ("a.jpg", ["a.jpg"]),
        ("a b; $(touch pwned).jpg", ["a b; $(touch pwned).jpg"]),
        ("it's.jpg", ["it's.jpg"]),
        ("-x.jpg", ["--", "-x.jpg"]),
        ("--help", ["--", "--help"]),
    ],
)
def test_a_command_that_is_advised_may_be_pasted(key: str, arguments: list[str]) -> None:
    def command(**changes: Any) -> list[str]:
        return shlex.split(told(key=key, **changes).advice.partition(": ")[2])

    assert command(result=item(key, "v2")) == ["imgpipe", "result", *arguments]
    waited_for = ["imgpipe", "result", "--wait", *arguments]
    assert command() == waited_for
    assert command(attempts=(attempt("running"),)) == waited_for
    again = told(key=key, attempts=(attempt("handled", outcome="skipped"),)).advice
    assert shlex.split(again.partition(": ")[2].removesuffix(".")) == ["imgpipe", "retry", *arguments]
    hint = errors(Retry((Picture(key, "failed"),), (), None))[0]["hint"]
    assert shlex.split(hint.rpartition("; once")[0]) == ["See", "imgpipe", "explain", *arguments]


# --- there is a result ---------------------------------------------------------------------------


def test_a_result_of_this_version_is_the_end_whatever_else_is_wrong() -> None:
    said = told(result=item("a.jpg", "v2"), parts=(part("notification"),), queue=queued())
    assert (said.state, said.cause) == ("done", "done")


def test_the_result_of_an_older_version_is_not_this_ones() -> None:
    assert told(result=item("a.jpg", "v1")).state == "pending"


def test_where_the_bucket_has_no_versions_any_result_counts() -> None:
    unversioned = (replace(VERSION, version_id=None),)
    assert told(result=item("a.jpg", None), versions=unversioned).state == "done"


def test_a_result_without_its_picture_is_still_a_result() -> None:
    said = told(result=item("a.jpg", "v2"), versions=())
    assert said.state == "done"
    assert "no longer in the bucket" in said.why


def test_a_refusal_for_good_says_its_own_hint() -> None:
    said = told(result=failure(retryable=False))
    assert (said.state, said.cause, said.why, said.advice) == (
        "failed",
        "access_denied",
        "Not allowed.",
        "Wait.",
    )


def test_a_failure_with_tries_left_is_pending() -> None:
    said = told(result=failure(retryable=True), attempts=(attempt(),))
    assert (said.state, said.cause) == ("pending", "access_denied")
    assert "by itself" in said.why


@pytest.mark.parametrize(
    "changes",
    [
        {"queue": queued()},
        {"attempts": (attempt(), attempt(), attempt())},
        {"result": failure(retryable=True, at=NOW - timedelta(hours=1))},
        {"result": failure(retryable=True, triesLeft=0)},
    ],
)
def test_a_failure_without_tries_left_is_failed(changes: dict[str, Any]) -> None:
    said = told(**{"result": failure(retryable=True), **changes})
    assert said.state == "failed"
    assert "imgpipe retry a.jpg" in said.advice


def test_an_older_versions_event_in_the_queue_says_nothing_about_this_one() -> None:
    assert told(result=failure(retryable=True), queue=queued("v1")).state == "pending"


def test_with_tries_left_up_is_all_that_is_needed() -> None:
    wrong = (part("role.ingest", "drifted", "set policy"),)
    said = told(result=failure(retryable=True), parts=wrong, attempts=(attempt(),))
    assert (said.state, said.cause) == ("pending", "role_ingest_differs")
    assert "the next attempt comes by itself" in said.advice


# --- there is no result --------------------------------------------------------------------------


def test_a_key_that_is_not_there_is_answered_with_the_nearest() -> None:
    said = told(versions=(), near=("b/a.jpg",))
    assert (said.state, said.cause) == ("not_found", "not_in_bucket")
    assert "Did you mean b/a.jpg?" in said.advice


def test_without_a_bucket_the_bucket_is_the_cause() -> None:
    assert told(versions=(), parts=(part("bucket"),)).cause == "bucket_missing"


def test_a_removed_picture_has_no_result() -> None:
    marker = Version("m1", NOW, None, latest=True)
    said = told(versions=(marker, VERSION), result=item("a.jpg", "v2"))
    assert (said.state, said.cause) == ("not_found", "removed")


@pytest.mark.parametrize(("minutes", "state"), [(0, "pending"), (10, "pending"), (20, "failed")])
def test_an_event_that_does_not_come_is_waited_for_a_while(minutes: int, state: str) -> None:
    sent = replace(VERSION, at=NOW - timedelta(minutes=minutes))
    assert told(versions=(sent,)).state == state


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (("notification",), "notification_missing"),
        (("function.ingest", "permission.bucket"), "function_ingest_missing"),
        (("permission.bucket",), "permission_bucket_missing"),
    ],
)
def test_what_keeps_every_event_away_is_the_cause_at_once(wrong: tuple[str, ...], cause: str) -> None:
    said = told(parts=tuple(part(name) for name in wrong))
    assert (said.state, said.cause) == ("failed", cause)


def test_a_function_that_only_differs_keeps_no_event_away() -> None:
    assert told(parts=(part("function.ingest", "drifted", "update code"),)).state == "pending"
    both = (part("function.ingest", "drifted", "update code"), part("permission.bucket"))
    assert told(parts=both).cause == "permission_bucket_missing"


def test_without_a_log_nobody_can_say_why_an_old_picture_has_no_result() -> None:
    old = (replace(VERSION, at=NOW - timedelta(days=1)),)
    assert told(versions=old, parts=(part("logs.ingest"),)).cause == "logs_ingest_missing"
    assert told(versions=old, logs_complete=False).cause == "log_too_long"
    assert told(versions=old).cause == "never_received"


def test_a_run_that_goes_on_is_waited_for() -> None:
    assert told(attempts=(attempt("running"),)).cause == "running"
    assert told(attempts=(attempt("running", ago_s=3600),)).state == "failed"


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (attempt("timed_out"), "timed_out"),
        (attempt(error="AccessDeniedException: dynamodb:PutItem"), "access_denied"),
        (attempt(), "function_failed"),
        (attempt("crashed"), "function_failed"),
    ],
)
def test_the_last_attempt_says_why(last: Attempt, cause: str) -> None:
    assert (told(attempts=(last,)).state, told(attempts=(last,)).cause) == ("pending", cause)
    given_up = told(attempts=(last,), queue=queued())
    assert (given_up.state, given_up.cause) == ("failed", cause)
    assert "failure queue" in given_up.why


@pytest.mark.parametrize(
    ("error", "condition", "cause"),
    [
        ("Task timed out after 120.00 seconds", "RetriesExhausted", "timed_out"),
        ("User is not authorized", "RetriesExhausted", "access_denied"),
        ("", "EventAgeExceeded", "too_late"),
    ],
)
def test_an_event_in_the_queue_has_the_same_cause_as_in_retry(error: str, condition: str, cause: str) -> None:
    event = FailedEvent(NOW, "v2", "r1", 3, condition, error, key="a.jpg")
    current = Current("v2", "e2", 100, NOW - timedelta(minutes=1))
    assert told(queue=Peek((event,), searched=1, waiting=1)).cause == cause
    assert judged("a.jpg", current, None, (event,), NOW).code == cause


def test_an_event_in_the_queue_without_a_log_line_says_its_own_error() -> None:
    said = told(queue=queued())
    assert (said.state, said.cause) == ("failed", "function_failed")
    assert "busy" in said.why


def test_a_function_that_fails_before_it_reads_the_event_is_named() -> None:
    broken = attempt(error="Unable to import module", version_id=None)
    said = told(failures=(broken,))
    assert said.cause == "function_fails"
    assert "Unable to import module" in said.why


def test_a_result_that_was_written_and_is_not_there_is_looked_for_in_what_reads_it() -> None:
    done = (attempt("handled", outcome="done"),)
    assert told(attempts=done).cause == "result_lost"
    wrong = (part("function.get_result", "drifted", "update environment"),)
    assert told(attempts=done, parts=wrong).cause == "function_get_result_differs"


def test_what_the_function_left_alone_is_said_in_its_words() -> None:
    said = told(attempts=(attempt("handled", outcome="ignored: a folder"),))
    assert (said.state, said.cause) == ("failed", "skipped")
    assert "ignored: a folder" in said.why


# --- the API does not answer ---------------------------------------------------------------------


def test_an_api_that_fails_is_explained_by_what_is_wrong_with_it() -> None:
    said = told(result_error="HTTP 500", parts=(part("table"), part("api")))
    assert said.cause == "api_missing"


def test_an_api_that_fails_with_nothing_wrong_is_explained_by_its_log() -> None:
    line = Line(NOW, "get_result", "request_failed", "ERROR", fields={"errorMessage": "no table"})
    said = told(result_error="HTTP 500 internal", api_errors=(line,))
    assert said.cause == "api_error"
    assert "no table" in said.why


# --- how it is told ------------------------------------------------------------------------------


def test_a_story_is_told_in_order_and_safely(capsys: pytest.CaptureFixture[str]) -> None:
    evil = attempt(error="\x1b[2Jno\nand a second line", began=NOW, ended=NOW)
    evidence = found(key="a\x1b.jpg", attempts=(evil,), queue=queued(), parts=(part("table"),))
    moments = timeline(evidence)
    said = conclusion(evidence)
    assert [one.kind for one in moments] == ["uploaded", "uploaded", "received", "ended", "queued"]
    show(Screen(), evidence, said, moments, verbose=False)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "attempt 1 failed after 1.5 s" in out
    assert "The results table is missing." in out
    assert out.splitlines()[-1].startswith("Next step: ")
    assert document(evidence, said, moments)["verdict"]["state"] == said.state


def test_attempts_at_different_versions_are_counted_apart() -> None:
    tries = (attempt(version_id="v1", ago_s=90), attempt(ago_s=60), attempt(ago_s=30))
    received = [one for one in timeline(found(attempts=tries)) if one.kind == "received"]
    assert [(one.facts["versionId"], one.facts["attempt"]) for one in received] == [
        ("v1", 1),
        ("v2", 1),
        ("v2", 2),
    ]


@pytest.mark.parametrize("outcome", ["", "ignored: a folder"])
def test_a_folder_marker_is_no_picture_and_sends_nobody_in_circles(outcome: str) -> None:
    marker = replace(VERSION, size_bytes=0)
    tries = (attempt("handled", outcome=outcome),) if outcome else ()
    for versions in ((marker,), (replace(marker, at=NOW - timedelta(days=1)),)):
        said = told(key="dfolder/", versions=versions, attempts=tries)
        assert (said.state, said.cause) == ("not_found", "folder")
        assert "retry" not in said.advice
        assert "imgpipe list --prefix dfolder/" in said.advice
    # A picture may have such a key.
    assert told(key="dfolder/", versions=(VERSION,)).cause != "folder"


def test_a_reused_analysis_says_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    origin = {"objectKey": "b\x1b[31m.jpg"}
    evidence = found(result=item("a.jpg", "v2", reusedFrom={"labels": origin, "faces": origin}))
    moments = timeline(evidence)
    show(Screen(), evidence, conclusion(evidence), moments, verbose=False)
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("with the analysis of b") == 1
    assert "\x1b" not in out
