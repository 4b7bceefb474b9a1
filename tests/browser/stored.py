"""Result items as the pipeline stores them, for what local analysis does not produce by itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from shared.result_item import Label, StoredItem

_COUNT = itertools.count()
_START = datetime.now(UTC) + timedelta(minutes=1)


def label(name: str, confidence: float = 90.0, **more: Any) -> Label:
    found = {"Name": name, "Confidence": confidence, "Instances": [], "Parents": [], "Categories": []}
    return cast("Label", {**found, **more})


def item(key: str, **more: Any) -> StoredItem:
    """A result of these minutes, newer than all that were made before it."""
    at = (
        (_START + timedelta(milliseconds=next(_COUNT)))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
    found = {
        "objectKey": key,
        "bucket": "any",
        "status": "done",
        "analyzedAt": at,
        "day": at[:10],
        "features": ["labels"],
        "contentType": "image/jpeg",
        "width": 400,
        "height": 300,
        "labels": [],
    }
    return cast("StoredItem", {**found, **more})
