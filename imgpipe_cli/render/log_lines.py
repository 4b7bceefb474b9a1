"""A log line for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imgpipe_cli.diagnose.logs.lines import Line
from imgpipe_cli.render.text import safe
from imgpipe_cli.session.times import iso

# First what tells one picture and one run from the others.
_FIRST = ("key", "outcome", "errorMessage", "feature", "code", "durationMs")
# Shown with --verbose only.
_LONG = frozenset({"stackTrace", "location", "models", "versionId"})
_NOTHING: tuple[object, ...] = (None, "", [], {})


def text(line: Line, *, verbose: bool = False) -> str:
    """Time, function, what happened and its fields; a traceback in lines of its own with verbose."""
    at = line.at.astimezone()
    level = "" if line.level == "INFO" else f"{safe(line.level)} "
    # Names of our own events read as words; plain text stays as it is.
    named = line.message.isidentifier() and not line.platform
    said = safe(line.message.replace("_", " ") if named else " ".join(line.message.split()))
    fields = "  ".join(_fields(line, verbose=verbose))
    head = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}  {line.function:<10}  {level}{said}"
    first = f"{head}  {fields}".rstrip()
    return "\n".join([first, *(_trace(line) if verbose else ())])


def _fields(line: Line, *, verbose: bool) -> Iterator[str]:
    names = [name for name in _FIRST if name in line.fields]
    names += [name for name in line.fields if name not in names]
    for name in names:
        value = line.fields[name]
        if value not in _NOTHING and name != "stackTrace" and (verbose or name not in _LONG):
            yield f"{safe(name)}={_value(value)}"
    if line.request_id and line.request_id not in line.message:
        yield f"request={safe(line.request_id if verbose else line.request_id[:8])}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        # Quoted where it could not be told from the next field.
        return json.dumps(safe(value), ensure_ascii=False) if " " in value or not value else safe(value)
    return safe(json.dumps(value, ensure_ascii=False, default=str))


def _trace(line: Line) -> Iterator[str]:
    trace = line.fields.get("stackTrace")
    entries = trace if isinstance(trace, list) else [trace] if trace else []
    for entry in entries:
        for row in str(entry).splitlines():
            yield f"    {safe(row)}"


def document(line: Line) -> dict[str, Any]:
    """One object of `--json`."""
    return {
        "timestamp": iso(line.at),
        "function": line.function,
        "level": line.level,
        "message": line.message,
        "requestId": line.request_id,
        "platform": line.platform,
        "fields": dict(line.fields),
    }
