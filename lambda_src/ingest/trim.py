"""Keeping a result below DynamoDB's limit of 400 KB an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from shared.dynamo_types import stored_size
from shared.results import LISTED

if TYPE_CHECKING:
    from shared.result_item import StoredItem

MAX_ITEM_BYTES = 370_000
"""The limit is 400 KB, which AWS counts as 400 x 1,024 bytes.

This leaves room for how numbers are counted, and for the list of the result's rows in the index.
"""


def trimmed(
    item: Mapping[str, Any], already: Mapping[str, int], *, max_bytes: int = MAX_ITEM_BYTES
) -> StoredItem:
    """The item without its least confident findings, as many as are too much.

    `trimmed` then says how many each feature lost, those lost earlier (`already`) included.
    """
    lost = dict(already)
    excess = stored_size({**item, "trimmed": dict.fromkeys(LISTED, 0)}) - max_bytes
    dropped: set[tuple[str, int]] = set()
    for _confidence, feature, place, size in _least_confident_first(item) if excess > 0 else ():
        dropped.add((feature, place))
        lost[feature] = lost.get(feature, 0) + 1
        excess -= size
        if excess <= 0:
            break
    kept = {
        feature: [entry for place, entry in enumerate(item[feature]) if (feature, place) not in dropped]
        for feature in LISTED
        if feature in item
    }
    return cast("StoredItem", {**item, **kept, **({"trimmed": lost} if lost else {})})


def _least_confident_first(item: Mapping[str, Any]) -> list[tuple[float, str, int, int]]:
    entries = [
        (float(entry.get("Confidence", 0)), feature, place, 1 + stored_size(entry))
        for feature in LISTED
        for place, entry in enumerate(item.get(feature, ()))
    ]
    return sorted(entries)
