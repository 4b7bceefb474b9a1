"""Which attempts the ingest function made at a picture, out of its log lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from imgpipe_cli.diagnose.logs.lines import Line

Ending = Literal["handled", "failed", "timed_out", "crashed", "running"]


@dataclass(frozen=True)
class Attempt:
    """One try of one event. outcome: what became of it, in the function's words; error: why it failed.

    version_id is None where the bucket has none, and where the function did not get so far as to say.
    """

    began: datetime
    ended: datetime | None
    ending: Ending
    request_id: str | None
    version_id: str | None
    kind: str
    outcome: str
    error: str
    duration_ms: float | None
    answers: Mapping[str, Any] | None
    lines: tuple[Line, ...]


@dataclass
class _Invocation:
    """The lines of one run of the function, in their order."""

    request_id: str | None
    lines: list[Line] = field(default_factory=list)

    def received(self, key: Any) -> bool:
        return any(one.message == "record_received" and one.fields.get("key") == key for one in self.lines)

    def is_followed_by(self, line: Line) -> bool:
        """False if the line belongs to a later run. A retry may have the same request id."""
        if line.kind == "start":
            return False
        if line.request_id not in (None, self.request_id) and self.request_id is not None:
            return False
        return not (line.message == "record_received" and self.received(line.fields.get("key")))


def _invocations(lines: Iterable[Line]) -> list[_Invocation]:
    """A process handles one event after the other, so inside a stream the lines of a run stand together."""
    current: dict[str, _Invocation] = {}
    found: list[_Invocation] = []
    for line in lines:
        invocation = current.get(line.stream)
        if invocation is None or not invocation.is_followed_by(line):
            invocation = current[line.stream] = _Invocation(line.request_id)
            found.append(invocation)
        invocation.request_id = invocation.request_id or line.request_id
        invocation.lines.append(line)
    return found


def attempts(lines: Iterable[Line], key: str, known_requests: frozenset[str] = frozenset()) -> list[Attempt]:
    """The attempts at the key, oldest first. known_requests: ids known from elsewhere to be about it."""
    found = [
        _attempt(invocation, key)
        for invocation in _invocations(lines)
        if any(one.fields.get("key") == key for one in invocation.lines)
        or (invocation.request_id in known_requests and not _names_a_key(invocation))
    ]
    return sorted(found, key=lambda attempt: attempt.began)


def nameless_failures(lines: Iterable[Line]) -> list[Attempt]:
    """Runs that failed before they said which picture they were about."""
    found = (_attempt(invocation, None) for invocation in _invocations(lines) if not _names_a_key(invocation))
    return [one for one in found if one.ending in ("failed", "timed_out") and one.error]


def _names_a_key(invocation: _Invocation) -> bool:
    return any("key" in one.fields for one in invocation.lines)


def _attempt(invocation: _Invocation, key: str | None) -> Attempt:
    # An event may hold several records: what is said about the others is not ours.
    lines = [one for one in invocation.lines if one.fields.get("key", key) == key]
    said = {one.message: one for one in lines if not one.platform}
    handled, failed = said.get("record_handled"), said.get("record_failed")
    ending = _ending(lines, handled, failed)
    last = handled or failed or next((one for one in lines if one.kind in ("end", "report")), None)
    received = said.get("record_received") or handled or failed
    answers = said.get("rekognition_answered")
    return Attempt(
        began=lines[0].at,
        ended=last.at if last else None,
        ending=ending,
        request_id=invocation.request_id,
        version_id=next((one.fields["versionId"] for one in lines if one.fields.get("versionId")), None),
        kind=str(received.fields.get("kind", "")) if received else "",
        outcome=str(handled.fields.get("outcome", "")) if handled else "",
        error=_error(lines, failed),
        duration_ms=_duration(lines, handled or failed),
        answers=answers.fields if answers else None,
        lines=tuple(lines),
    )


def _ending(lines: list[Line], handled: Line | None, failed: Line | None) -> Ending:
    if handled is not None:
        return "handled"
    if any(one.timed_out for one in lines):
        return "timed_out"
    if failed is not None or any(one.failed for one in lines):
        return "failed"
    return "crashed" if any(one.kind in ("end", "report") for one in lines) else "running"


def _error(lines: list[Line], failed: Line | None) -> str:
    if failed is not None:
        return str(failed.fields.get("errorMessage", ""))
    for one in lines:
        if one.failed:
            return str(one.fields.get("errorMessage") or one.message)
    return ""


def _duration(lines: Iterable[Line], ended: Line | None) -> float | None:
    """Lambda's own measurement, else the function's."""
    told = [one for one in lines if one.kind == "report"] + ([ended] if ended else [])
    durations = (one.fields.get("durationMs") for one in told)
    return next((float(one) for one in durations if isinstance(one, int | float)), None)
