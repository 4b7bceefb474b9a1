"""The log lines that a picture's story needs, out of a log in which millions of others may have written."""

from __future__ import annotations

import re
from datetime import datetime

from imgpipe_cli.diagnose.explain.attempts import attempts
from imgpipe_cli.diagnose.logs.lines import Line, in_order, line
from imgpipe_cli.diagnose.logs.reading import LogReader
from imgpipe_cli.session.times import milliseconds

# Ten pages are at most 100,000 lines of each function.
_PAGES = 10
# A filtered page may be empty: CloudWatch has looked at a part of the log. Four a second are asked for.
_FILTERED_PAGES = 60
# So many runs are looked at, and so long may a filter be.
_RUNS = 10
_PHRASE = 1000
# In the log a key stands as JSON writes it: other characters look different there.
_PLAIN = re.compile(r"[ !#-\[\]-~]+")


def ingest_lines(
    reader: LogReader, key: str, requests: frozenset[str], start: datetime, end: datetime
) -> tuple[list[Line], bool]:
    """What the ingest function said, and whether that is all.

    The runs that named the key, or are known by their requests; all runs where there are none, since one may
    have failed before it named anything.
    """
    if reader.filters:
        lines, complete = _of_runs(reader, key, requests, start, end)
        if attempts(lines, key, requests):
            return lines, complete
    return read_lines(reader, "ingest", start, end)


def read_lines(
    reader: LogReader, function: str, start: datetime, end: datetime | None, *, phrase: str = ""
) -> tuple[list[Line], bool]:
    """The lines, and whether that is all of them; without a log group there are none."""
    end_ms = milliseconds(end) if end else None
    pages = _FILTERED_PAGES if phrase else _PAGES
    events = reader.events([function], milliseconds(start), end_ms, pages=pages, phrase=phrase)[function]
    complete = not reader.cut
    return in_order(line(function, event) for event in events or []), complete


def _of_runs(
    reader: LogReader, key: str, requests: frozenset[str], start: datetime, end: datetime
) -> tuple[list[Line], bool]:
    """The lines of the runs that named the key, and of these requests.

    Lambda's own lines name the request only, so the runs are looked for first.
    """
    phrase = max(_PLAIN.findall(key), key=len, default="")[:_PHRASE]
    named, complete = read_lines(reader, "ingest", start, end, phrase=phrase) if phrase else ([], True)
    told = [one.request_id for one in named if one.fields.get("key") == key and one.request_id]
    found: list[Line] = []
    for request in list(dict.fromkeys([*sorted(requests), *told]))[-_RUNS:]:
        lines, complete = read_lines(reader, "ingest", start, end, phrase=request)
        found += lines
    return in_order(found), complete
