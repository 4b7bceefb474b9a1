"""Logs: one JSON object a line on standard output.

By `print`, because not every place where the functions run has a handler on the root logger. `timestamp` and
`level` are the names that Lambda's own log filter reads. Callers pass identifiers and numbers: never a token,
a header or a signed URL.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

Level = Literal["INFO", "WARN", "ERROR"]

# Not a ContextVar: what is logged by a thread of the same work belongs to it too, and Lambda gives one
# process one event at a time.
_about: dict[str, object] = {}


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Every line logged inside carries these fields: what it is about, such as request and key."""
    before = dict(_about)
    _about.update(fields)
    try:
        yield
    finally:
        _about.clear()
        _about.update(before)


def log(level: Level, event: str, **fields: object) -> None:
    """Print one line; values that JSON does not know are shown as their text."""
    line = {"timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event}
    print(json.dumps({**line, **_about, **fields}, default=str), flush=True)


def log_failure(event: str, error: BaseException, **fields: object) -> None:
    """Print an unexpected error with its traceback, still on one line."""
    text = "".join(traceback.format_exception(error))
    log("ERROR", event, errorType=type(error).__name__, errorMessage=str(error), stackTrace=text, **fields)
