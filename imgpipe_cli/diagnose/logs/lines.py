"""What one log event of a function says: ours, Lambda's own, or somebody's plain text. Pure.

On AWS a printed JSON line may come as it was printed or inside Lambda's own object; on other endpoints all
of Lambda's own lines are plain text. None of them may stop the reading.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from imgpipe_cli.session.times import from_milliseconds, parsed

_ERROR_LEVELS = frozenset({"ERROR", "FATAL", "CRITICAL"})
_LEVELS = {"WARNING": "WARN"}
_OWN_FIELDS = frozenset({"timestamp", "time", "level", "log_level", "event", "message", "requestId"})
# START RequestId: 7f3c... Version: $LATEST
_PLATFORM_TEXT = re.compile(
    r"(?P<kind>START|END|REPORT|INIT_START|INIT_REPORT|RESTORE_START|EXTENSION|XRAY|TELEMETRY)\b"
)
_REQUEST = re.compile(r"RequestId: (?P<id>[\w-]+)")
# Without "RequestId:", where Lambda puts the time and the id before its own words.
_BARE_REQUEST = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_DURATION = re.compile(r"(?<!Billed )(?<!Init )\bDuration: (?P<ms>[\d.]+) ms")
_STATUS = re.compile(r"\bStatus: (?P<status>\w+)")
_TIMED_OUT = re.compile(r"Task timed out after [\d.]+ seconds")
_ERROR_TEXT = re.compile(r"\[ERROR\]|^Traceback|Unable to import module|Runtime exited")


@dataclass(frozen=True)
class Line:
    """One line. message: what happened, for our own lines the event's name. kind: start, end or report
    of an invocation, empty for everything else. at: when it was written, as far as it says so itself.
    plain: text that nothing is known about."""

    at: datetime
    function: str
    message: str
    level: str = "INFO"
    platform: bool = False
    kind: str = ""
    request_id: str | None = None
    stream: str = ""
    plain: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.level in _ERROR_LEVELS

    @property
    def warns(self) -> bool:
        """True for everything that did not go as it should, also what is tried again."""
        return self.failed or self.level == "WARN"

    @property
    def timed_out(self) -> bool:
        return self.fields.get("status") == "timeout" or bool(_TIMED_OUT.search(self.message))


def line(function: str, event: Mapping[str, Any]) -> Line:
    """The line in an event of FilterLogEvents."""
    text = str(event["message"]).rstrip()
    base = Line(
        from_milliseconds(event["timestamp"]), function, text, stream=str(event.get("logStreamName", ""))
    )
    document = _object(text)
    if document is None:
        return _plain(base, text)
    if str(document.get("type", "")).startswith("platform."):
        return _platform(base, document)
    return _json(base, document)


def _object(text: Any) -> dict[str, Any] | None:
    if isinstance(text, dict):
        return text
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _plain(base: Line, text: str) -> Line:
    found = _REQUEST.search(text)
    bare = _BARE_REQUEST.search(text) if found is None else None
    request_id = found["id"] if found else bare[0] if bare else None
    timed_out = _TIMED_OUT.search(text)
    if timed_out:
        return replace(base, message=timed_out[0], level="ERROR", request_id=request_id)
    platform = _PLATFORM_TEXT.match(text)
    if platform is None:
        level = "ERROR" if _ERROR_TEXT.search(text) else "INFO"
        return replace(base, level=level, request_id=request_id, plain=True)
    duration, status = _DURATION.search(text), _STATUS.search(text)
    fields: dict[str, Any] = {}
    if duration:
        fields["durationMs"] = float(duration["ms"])
    if status:
        fields["status"] = status["status"].lower()
    return _told_by_platform(base, text, platform["kind"].lower(), request_id, fields)


def _platform(base: Line, document: Mapping[str, Any]) -> Line:
    """{"time", "type": "platform.report", "record": {"requestId", "metrics": {"durationMs"}, "status"}}"""
    record = document.get("record")
    record = record if isinstance(record, dict) else {}
    name = str(document["type"])
    metrics = record.get("metrics")
    fields: dict[str, Any] = {}
    if isinstance(metrics, dict) and "durationMs" in metrics:
        fields["durationMs"] = metrics["durationMs"]
    if "status" in record:
        fields["status"] = str(record["status"]).lower()
    kinds = {"platform.start": "start", "platform.runtimeDone": "end", "platform.report": "report"}
    moved = replace(base, at=parsed(document.get("time")) or base.at)
    return _told_by_platform(moved, name, kinds.get(name, "other"), record.get("requestId"), fields)


def _told_by_platform(
    base: Line, message: str, kind: str, request_id: str | None, fields: Mapping[str, Any]
) -> Line:
    """Lambda's own line; a report of a failure is an error like any other."""
    bad = kind == "report" and fields.get("status", "success") != "success"
    return replace(
        base,
        message=message,
        level="ERROR" if bad else "INFO",
        platform=True,
        kind=kind if kind in ("start", "end", "report") else "",
        request_id=request_id,
        fields=fields,
    )


def _json(base: Line, document: Mapping[str, Any]) -> Line:
    level = str(document.get("level") or document.get("log_level") or "INFO").upper()
    outer = replace(
        base,
        at=parsed(document.get("timestamp")) or base.at,
        level=_LEVELS.get(level, level),
        request_id=document.get("requestId") or document.get("AWSRequestId"),
    )
    message = document.get("message")
    inner = _object(message.strip() if isinstance(message, str) else message)
    if inner is not None and "event" not in document:
        found = _json(outer, inner)
        return replace(found, request_id=found.request_id or outer.request_id)
    if "event" not in document and isinstance(message, str):
        plain = _plain(outer, message.strip())
        return replace(
            plain,
            level=outer.level if not plain.failed else plain.level,
            request_id=plain.request_id or outer.request_id,
            plain=False,
            fields={**_rest(document), **plain.fields},
        )
    said = document.get("event") or document.get("errorType") or message or "log"
    return replace(outer, message=str(said), fields=_rest(document))


def _rest(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _OWN_FIELDS}


def in_order(lines: Iterable[Line]) -> list[Line]:
    """By time. Some endpoints write all lines of an invocation with the time of its end, so that only our
    own lines know better: inside a stream, what stands before a line cannot be later than that line."""
    streams: dict[tuple[str, str], list[Line]] = {}
    for one in lines:
        streams.setdefault((one.function, one.stream), []).append(one)
    moved: list[Line] = []
    for stream in map(_folded, streams.values()):
        latest: datetime | None = None
        backwards: list[Line] = []
        for one in reversed(stream):
            latest = one.at if latest is None else min(latest, one.at)
            backwards.append(replace(one, at=latest) if one.at != latest else one)
        moved += reversed(backwards)
    return sorted(moved, key=lambda one: one.at)


def _folded(stream: list[Line]) -> list[Line]:
    """The same lines with each traceback in one: some endpoints write a line for every line of it."""
    found: list[Line] = []
    trace: list[str] = []
    for one in stream:
        if one.plain and (trace or one.message.startswith("Traceback")):
            begins = not trace
            trace.append(one.message)
            said = next((text for text in reversed(trace) if text.strip()), "").strip()
            whole = replace(
                one if begins else found.pop(),
                message=said,
                level="ERROR",
                fields={"stackTrace": "\n".join(trace)},
            )
            found.append(whole)
        else:
            trace = []
            found.append(one)
    return found
