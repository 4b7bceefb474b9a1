"""How a picture stands, by its object, its result and its failed events; and when these are settled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent
from imgpipe_cli.diagnose.retry.judging import Current, judged, settled
from tests.support.api_server import failed, item

NOW = datetime.now(UTC)
CURRENT = Current("v2", "e2", 100, NOW - timedelta(days=1))


def arrival(version: str | None = "v2", **changes: Any) -> FailedEvent:
    values: dict[str, Any] = {"condition": "RetriesExhausted", "error": "Task timed out after 120 seconds"}
    return FailedEvent(NOW, version, "r1", 3, key="a.jpg", **(values | changes))


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
