"""The result item as readers see it.

The store also holds what readers must not see: tombstones of removed pictures, and attributes that only serve
an index or a clean-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from shared.result_item import Feature, ResultItem, Stored

FEATURES: tuple[Feature, ...] = ("labels", "moderation", "faces", "text", "properties")
"""Every feature there is, in the order in which they are stored and shown."""

LISTED = FEATURES[:-1]
"""The features that find things: a list of entries, each with its Confidence.

Properties are one map about the whole picture, as Rekognition's ImageProperties.
"""

STORED_FROM = 50
"""Percent: less certain findings are not stored. Readers choose a higher number without another analysis."""

REMOVED: Final = "removed"
"""`status` of a tombstone. Internal: readers answer 404."""

REVISION = ("sequencer", "status", "versionId", "analyzedAt", "indexedAt")
"""Fields of a stored item of which one at least is another after every write that matters."""

MAX_KEY_BYTES = 1024
"""S3's limit for a key, in UTF-8.

A longer one cannot have a result, and no store could be asked for it.
"""

PUBLIC_FEATURES: tuple[Feature, ...] = ("labels", "moderation", "properties")
"""What anybody who knows a key may read where results are public: nothing about people, and no words."""

_PUBLIC = frozenset(
    {
        "objectKey",
        "bucket",
        "status",
        "analyzedAt",
        "sizeBytes",
        "contentType",
        "width",
        "height",
        "orientation",
        "features",
        "models",
        "durationMs",
        "unavailable",
        "error",
        *PUBLIC_FEATURES,
    }
)

_INTERNAL = frozenset({"day", "expiresAt", "indexed", "indexedAt"})


def key_possible(key: str) -> bool:
    try:
        return 0 < len(key.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        return False


def shown(item: Stored) -> ResultItem | None:
    """The stored item without internal attributes; None for a tombstone."""
    if item.get("status") == REMOVED:
        return None
    return cast("ResultItem", {name: value for name, value in item.items() if name not in _INTERNAL})


def in_public(item: ResultItem) -> ResultItem:
    """The part of a shown item that is for everybody; `features` still says what was asked for."""
    public = {name: value for name, value in item.items() if name in _PUBLIC}
    trimmed = {name: count for name, count in item.get("trimmed", {}).items() if name in PUBLIC_FEATURES}
    return cast("ResultItem", {**public, "trimmed": trimmed} if trimmed else public)


def at_least(item: ResultItem, min_confidence: float) -> ResultItem:
    """The item with only those findings whose Confidence is `min_confidence` (0 to 100) or more.

    A label that stays keeps all its instances.
    """
    kept = {
        name: [entry for entry in value if entry.get("Confidence", 100.0) >= min_confidence]
        if name in LISTED and isinstance(value, list)
        else value
        for name, value in item.items()
    }
    return cast("ResultItem", kept)
