"""How results are kept as objects in a bucket: names, texts, and which of two results counts. Pure.

`results/<name>.json` holds the result item. `index/<inverted time>/<name>` is an empty object that only lets
a plain listing, which S3 gives in the order of keys, show the newest result first. `fails/` is such an index
of failed results alone. An entry of an index counts only if the result says the same time. Standard library
only: the command line loads this very file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from .results import MAX_KEY_BYTES, REMOVED

if TYPE_CHECKING:
    from shared.result_item import Stored

RESULTS = "results/"
INDEX = "index/"
FAILED = "fails/"
"""The index of failed results. No longer than INDEX: the length decides which names are hashed."""

TOMBSTONE_TAG = ("imgpipe", "tombstone")
"""Object tag of a removed picture's mark. The bucket's lifecycle takes away what carries it."""

CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"})
"""Error codes of a `put_request` when the object has changed, is just being changed, or is gone."""

_ENDING = ".json"
_TIME_DIGITS = 13
_LAST_MS = 10**_TIME_DIGITS - 1
"""Milliseconds since 1970 until the year 2286; times are counted back from here."""

_ROOM = MAX_KEY_BYTES - max(len(RESULTS) + len(_ENDING), len(INDEX) + _TIME_DIGITS + 1)
# "." and ".." as parts of a path are dropped by some tools, and control characters break the XML of listings.
_AWKWARD = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|[\x00-\x1f\x7f\ufffe\uffff]")
_ENTRY = re.compile(rf"(?:{INDEX}|{FAILED})(\d{{{_TIME_DIGITS}}})/(.+)", re.DOTALL)


def name_of(key: str) -> str:
    """A picture's key as part of an object's key: itself, or `~` and its SHA-256 where it does not fit.

    No two keys share a name: what starts with `~` by itself is hashed too.
    """
    encoded = key.encode("utf-8", "surrogatepass")
    if len(encoded) <= _ROOM and not key.startswith("~") and not _AWKWARD.search(key):
        return key
    return f"~{hashlib.sha256(encoded).hexdigest()}"


def result_object(name: str) -> str:
    return f"{RESULTS}{name}{_ENDING}"


def name_of_result(object_key: str) -> str:
    """The reverse of `result_object`."""
    return object_key.removeprefix(RESULTS).removesuffix(_ENDING)


def index_object(analyzed_at: str, name: str, index: str = INDEX) -> str:
    """Where the index holds a result of that time (ISO 8601 with milliseconds and Z)."""
    return f"{index}{_inverted(milliseconds(analyzed_at))}/{name}"


def index_of(item: Mapping[str, Any]) -> str | None:
    """The entry that belongs to a stored item; None for a tombstone, which is not listed."""
    analyzed_at = item.get("analyzedAt")
    return index_object(analyzed_at, name_of(item["objectKey"])) if analyzed_at else None


def entries_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """All entries that belong to a stored item: that of the index by time, one more of a failed result."""
    entry = index_of(item)
    if entry is None:
        return ()
    if item["status"] != "failed":
        return (entry,)
    return entry, FAILED + entry.removeprefix(INDEX)


def parse_index(object_key: str) -> tuple[str, str] | None:
    """(time, name) of an index object; None for what imgpipe did not put there."""
    found = _ENTRY.fullmatch(object_key)
    if not found:
        return None
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=_LAST_MS - int(found[1]))
    return iso(time), found[2]


def index_start(day: date, index: str = INDEX) -> str:
    """Just before the entries of that day, the newest of the day first."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        end_ms = int((end + timedelta(days=1)).timestamp() * 1000) - 1
    except OverflowError:
        end_ms = _LAST_MS
    return f"{index}{_inverted(end_ms)}"


def _inverted(milliseconds: int) -> str:
    return f"{min(max(_LAST_MS - milliseconds, 0), _LAST_MS):0{_TIME_DIGITS}}"


def milliseconds(text: str) -> int:
    """Since 1970, of a time such as 2026-11-22T18:30:05.250Z."""
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    # In whole numbers: a float of seconds is a millisecond off now and then.
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def iso(time: datetime) -> str:
    """A time of the UTC as results have it, such as 2026-11-22T18:30:05.250Z: text order is time order."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dump(item: Mapping[str, Any]) -> bytes:
    """The item as stored: the same bytes for the same item, so that its MD5 tells two copies apart.

    Numbers are int and float only, as in the HTTP answer.
    """
    text = json.dumps(item, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def put_request(item: Mapping[str, Any], etag: str | None) -> dict[str, Any]:
    """PutObject's parameters, without the bucket, for a result in place of the object with this ETag.

    etag: None: only where there is none. Numbers are int and float only.
    """
    request = {
        "Key": result_object(name_of(item["objectKey"])),
        "Body": dump(item),
        "ContentType": "application/json",
        **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}),
    }
    if item["status"] == REMOVED:
        request["Tagging"] = urlencode([TOMBSTONE_TAG])
    return request


def load(data: bytes) -> Stored:
    """Raises ValueError for what is no stored item."""
    item = json.loads(data)
    if not isinstance(item, dict) or not {"objectKey", "status", "sequencer"} <= item.keys():
        raise ValueError("not a stored result")
    return cast("Stored", item)


def counts_more(one: Stored, other: Stored | None) -> bool:
    """Whether `one` is the newer of two stored items of a key, when results are copied between stores."""
    return other is None or _rank(one) > _rank(other)


def _rank(item: Mapping[str, Any]) -> tuple[str, bool, str, int]:
    """Of the same result counts what was indexed later: it lists the rows that there are."""
    return (
        item["sequencer"],
        item["status"] != "failed",
        item.get("analyzedAt", ""),
        item.get("indexedAt", 0),
    )
