"""A picture's story: the timeline, what is not right, the log lines, the conclusion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgpipe_cli.render import log_lines
from imgpipe_cli.render.text import count, safe, seconds, size
from imgpipe_cli.session.times import iso

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.explain.evidence import Evidence
    from imgpipe_cli.diagnose.explain.explanation import Conclusion
    from imgpipe_cli.diagnose.explain.timeline import Moment
    from imgpipe_cli.diagnose.logs.lines import Line
    from imgpipe_cli.render.screen import Screen

_STATES = {"done": "Done", "failed": "Failed", "pending": "Pending", "not_found": "Not found"}
# The last ones say how it ended.
_LINES = 20


def show(
    screen: Screen, found: Evidence, conclusion: Conclusion, moments: Sequence[Moment], *, verbose: bool
) -> None:
    """Print all of it, the result last."""
    screen.line(safe(found.key), exact=True)
    for moment in moments:
        at = moment.at.astimezone()
        what = " ".join(_words(moment)).rstrip()
        screen.line(f"  {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}  {what}")
    for title, told in (("Failure queue", _queue(found)), ("Not right", list(_parts(found)))):
        for number, text in enumerate(told):
            screen.line(f"  {title if number == 0 else '':<23}  {text}")
    lines = _shown(found, verbose=verbose)
    if lines:
        left = "" if found.logs_complete else " (the log was too long to read all of it)"
        screen.line(f"Log lines{left}")
        for line in lines:
            screen.line(f"  {log_lines.text(line, verbose=verbose).replace(chr(10), chr(10) + '  ')}")
    screen.line(f"{_STATES[conclusion.state]}: {safe(conclusion.why)}")
    screen.line(f"Next step: {safe(conclusion.advice)}")


def _words(moment: Moment) -> Iterator[str]:
    facts = moment.facts
    match moment.kind:
        case "uploaded":
            yield f"in the bucket: {size(facts['sizeBytes'])}{_version(facts)}"
            yield "" if facts["latest"] else "(replaced since)"
        case "removed":
            yield f"removed from the bucket{_version(facts)}"
        case "received":
            what = "removal" if facts["record"] == "Removal" else "event"
            yield f"{what} received{_version(facts)}: attempt {facts['attempt']}{_request(facts)}"
        case "answered":
            yield f"Rekognition answered: {_answers(facts)}"
        case "ended":
            yield f"attempt {facts['attempt']} {_ending(facts)}"
        case "result":
            more = safe(facts.get("error", "")) or (_answers(facts) if "found" in facts else "")
            status = "failed for now" if facts["status"] == "retrying" else facts["status"]
            yield f"result written{_version(facts)}: {status}{f' ({more})' if more else ''}"
            for key in facts.get("reusedFrom", ()):
                yield f"with the analysis of {safe(key)}, which has the same bytes"
        case "queued":
            error = f": {safe(facts['error'])}" if facts["error"] else ""
            yield f"event put into the failure queue{_version(facts)}{error}"


def _version(facts: Mapping[str, Any]) -> str:
    return f", version {safe(str(facts['versionId'])[:8])}" if facts.get("versionId") else ""


def _request(facts: Mapping[str, Any]) -> str:
    return f", request {safe(facts['requestId'])}" if facts.get("requestId") else ""


def _answers(facts: Mapping[str, Any]) -> str:
    models = facts.get("models") or {}
    told = [
        f"{safe(feature)} {number}{f' (model {safe(models[feature])})' if feature in models else ''}"
        for feature, number in (facts.get("found") or {}).items()
    ]
    told += [f"{safe(feature)} not available" for feature in facts.get("unavailable") or []]
    failed = facts.get("failed") or {}
    told += [f"{safe(feature)} failed ({safe(code)})" for feature, code in failed.items()]
    return ", ".join(told) or "nothing"


def _ending(facts: Mapping[str, Any]) -> str:
    took = f" after {seconds(facts['durationMs'] / 1000)}" if facts.get("durationMs") is not None else ""
    error = next(iter(safe(row) for row in str(facts["error"]).splitlines()), "")
    match facts["ending"]:
        case "handled":
            return f"ended{took}: {safe(facts['outcome'])}"
        case "timed_out":
            return f"was stopped by Lambda{took}: out of time"
        case "failed":
            return f"failed{took}: {error}"
        case _:
            return f"ended{took} without a word"


def _queue(found: Evidence) -> list[str]:
    queue = found.queue
    if queue is None:
        return ["missing"]
    told = (
        f"{count(len(queue.events), 'event')} of this picture" if queue.events else "nothing of this picture"
    )
    if not queue.complete:
        told += f"; only {queue.searched} of about {queue.waiting} events were searched"
    elif not queue.waiting:
        told = "empty"
    return [told]


def _parts(found: Evidence) -> Iterator[str]:
    from imgpipe_cli.diagnose.explain import parts

    for part in found.parts:
        yield safe(parts.said(part))


def _shown(found: Evidence, *, verbose: bool) -> list[Line]:
    lines = [line for attempt in found.attempts for line in attempt.lines]
    if not lines:
        lines = [line for attempt in found.failures[-1:] for line in attempt.lines]
    lines += found.api_errors
    return [line for line in lines if verbose or line.failed or not line.platform][-_LINES:]


def document(found: Evidence, conclusion: Conclusion, moments: Sequence[Moment]) -> dict[str, Any]:
    """The data of `--json`."""
    queue = found.queue
    return {
        "key": found.key,
        "verdict": {
            "state": conclusion.state,
            "cause": conclusion.cause,
            "why": conclusion.why,
            "advice": conclusion.advice,
        },
        "timeline": [{"at": iso(moment.at), "kind": moment.kind, **moment.facts} for moment in moments],
        "versions": len(found.versions),
        "result": found.result,
        "failureQueue": None
        if queue is None
        else {
            "events": len(queue.events),
            "searched": queue.searched,
            "waiting": queue.waiting,
            "complete": queue.complete,
        },
        "parts": [
            {"name": part.resource, "state": part.state, "differences": list(part.drift)}
            for part in found.parts
        ],
        "near": list(found.near),
        "logLines": [log_lines.document(line) for line in _shown(found, verbose=True)],
        "logsComplete": found.logs_complete,
    }
