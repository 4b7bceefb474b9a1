"""The story of a picture in the order of time, as facts without wording. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from imgpipe_cli.diagnose.explain.attempts import Attempt
from imgpipe_cli.diagnose.explain.evidence import Evidence
from imgpipe_cli.pictures.listing import status_of

Kind = Literal["uploaded", "removed", "received", "answered", "ended", "result", "queued"]
_ORDER: tuple[Kind, ...] = ("uploaded", "removed", "received", "answered", "ended", "result", "queued")

SHOWN_VERSIONS = 5
"""A picture that is replaced every minute has a story of its newest versions only."""


@dataclass(frozen=True)
class Moment:
    """One thing that happened."""

    at: datetime
    kind: Kind
    facts: Mapping[str, Any] = field(default_factory=dict)


def timeline(found: Evidence) -> list[Moment]:
    """Everything that is known to have happened to the picture, oldest first."""
    moments = [*_versions(found), *_attempts(found), *_result(found), *_queue(found)]
    moments.sort(key=lambda one: (one.at, _ORDER.index(one.kind)))
    return moments


def _versions(found: Evidence) -> Iterator[Moment]:
    for version in found.versions[:SHOWN_VERSIONS]:
        facts = {"versionId": version.version_id, "latest": version.latest}
        if version.removed:
            yield Moment(version.at, "removed", facts)
        else:
            yield Moment(version.at, "uploaded", {**facts, "sizeBytes": version.size_bytes})


def _attempts(found: Evidence) -> Iterator[Moment]:
    counts: dict[tuple[str | None, str], int] = {}
    for attempt in found.attempts:
        event = (attempt.version_id, attempt.kind)
        counts[event] = counts.get(event, 0) + 1
        facts = {"attempt": counts[event], "requestId": attempt.request_id, "versionId": attempt.version_id}
        yield Moment(attempt.began, "received", {**facts, "record": attempt.kind})
        yield from _course(attempt, facts)


def _course(attempt: Attempt, facts: Mapping[str, Any]) -> Iterator[Moment]:
    for line in attempt.lines:
        if line.message == "rekognition_answered":
            kept = ("found", "models", "unavailable", "failed")
            yield Moment(line.at, "answered", {**facts, **{name: line.fields.get(name) for name in kept}})
    if attempt.ending != "running":
        ended = {
            "ending": attempt.ending,
            "outcome": attempt.outcome,
            "error": attempt.error,
            "durationMs": attempt.duration_ms,
        }
        yield Moment(attempt.ended or attempt.began, "ended", {**facts, **ended})


def _result(found: Evidence) -> Iterator[Moment]:
    result = found.result
    if result is None:
        return
    facts: dict[str, Any] = {"status": status_of(result), "versionId": result.get("versionId")}
    # What the log does not say any more is still in the result.
    if not any(one.answers and one.version_id == result.get("versionId") for one in found.attempts):
        facts["models"] = result.get("models", {})
        facts["found"] = {name: len(result[name]) for name in result.get("features", []) if name in result}
        facts["unavailable"] = list(result.get("unavailable", {}))
    if origins := result.get("reusedFrom"):
        facts["reusedFrom"] = sorted({origin["objectKey"] for origin in origins.values()})
    if result.get("error"):
        facts["error"] = result["error"]["message"]
    yield Moment(datetime.fromisoformat(result["analyzedAt"]), "result", facts)


def _queue(found: Evidence) -> Iterator[Moment]:
    for event in found.queue.events if found.queue else ():
        facts = {
            "attempts": event.attempts,
            "requestId": event.request_id,
            "versionId": event.version_id,
            "error": event.error,
            "condition": event.condition,
        }
        yield Moment(event.since or found.now, "queued", facts)
