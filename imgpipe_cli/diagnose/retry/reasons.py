"""Why a picture has no result, in codes and words that `retry` and `explain` share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent

USUAL = timedelta(minutes=2)
"""S3 tells of a new object within seconds as a rule; what has no result by then may be asked for by hand."""

LATEST = timedelta(minutes=15)
"""Sometimes it takes minutes; an event that has not come by then never will."""

NO_EVENT_YET = "no_event_yet"
NEVER_RECEIVED = "never_received"

_DENIED = re.compile(r"AccessDenied|not authorized|access_denied|not allowed")


def of_event(event: FailedEvent) -> tuple[str, str]:
    """(code, what happened) of an event that led to no result."""
    said = " ".join(event.error.split())
    code = of_error(said)
    if code == "timed_out":
        return code, "The ingest function ran out of time: Lambda stopped it."
    if code == "access_denied":
        return code, f"The ingest function was denied something: {said}"
    if event.condition == "EventAgeExceeded":
        return "too_late", "The event waited so long for the ingest function that Lambda gave it up."
    return code, f"The ingest function failed: {said or 'without saying why'}"


def of_error(said: str) -> str:
    """The code of an error that ended a run of the ingest function."""
    if "Task timed out" in said:
        return "timed_out"
    return "access_denied" if _DENIED.search(said) else "function_failed"
