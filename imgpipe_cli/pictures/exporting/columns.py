"""A result as one row of a table: the same columns in CSV and SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# Column -> SQLite's type.
COLUMNS: Mapping[str, str] = {
    "key": "TEXT NOT NULL UNIQUE",
    "status": "TEXT NOT NULL",
    "analyzed_at": "TEXT NOT NULL",
    "content_type": "TEXT",
    "size_bytes": "INTEGER",
    "width": "INTEGER",
    "height": "INTEGER",
    "labels": "TEXT",
    "moderation": "TEXT",
    "faces": "INTEGER",
    "text": "TEXT",
    "error": "TEXT",
}


def row(item: ResultItem) -> tuple[str | int | None, ...]:
    """The values of one result; None for what it does not have: an analysis that was not asked for, say."""
    faces, error = item.get("faces"), item.get("error")
    return (
        item["objectKey"],
        item["status"],
        item["analyzedAt"],
        item.get("contentType"),
        item.get("sizeBytes"),
        item.get("width"),
        item.get("height"),
        _joined(item.get("labels"), "Name"),
        _joined(item.get("moderation"), "Name"),
        None if faces is None else len(faces),
        _joined(_lines(item), "DetectedText"),
        f"{error['code']}: {error['message']}" if error else None,
    )


def _lines(item: ResultItem) -> list[Any] | None:
    """The lines of text; their words stand in them."""
    found = item.get("text")
    return None if found is None else [one for one in found if one.get("Type", "LINE") == "LINE"]


def _joined(found: Iterable[Any] | None, name: str) -> str | None:
    return None if found is None else "; ".join(str(one[name]) for one in found)
