"""The result item as readers see it.

The table also holds what readers must not see: tombstones of removed pictures, and attributes that only serve
an index or a clean-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.dynamo_types import from_attributes, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

FEATURES = ("labels", "moderation", "faces", "text")
"""Every feature there is, in the order in which they are stored and shown."""

REMOVED = "removed"
"""`status` of a tombstone. Internal: readers answer 404."""

MAX_KEY_BYTES = 1024
"""S3's limit for a key, in UTF-8.

A longer one cannot have a result, and DynamoDB would refuse to look for it.
"""

_INTERNAL = frozenset({"day", "expiresAt"})


def key_possible(key: str) -> bool:
    return 0 < len(key.encode("utf-8", "replace")) <= MAX_KEY_BYTES


def shown(attributes: Mapping[str, AttributeValueTypeDef] | None) -> dict[str, Any] | None:
    """The stored item without internal attributes; None when there is no item or only a tombstone."""
    if not attributes:
        return None
    item = from_attributes(attributes)
    if item.get("status") == REMOVED:
        return None
    return {name: value for name, value in item.items() if name not in _INTERNAL}


def read_result(dynamodb: DynamoDBClient, table: str, key: str) -> dict[str, Any] | None:
    """The result of one picture, or None.

    Read consistently: that costs one read unit for each 4 KB instead of half of one, and a poll right after
    the verdict was written never answers 404.
    """
    if not key_possible(key):
        return None
    answer = dynamodb.get_item(TableName=table, Key=to_attributes({"objectKey": key}), ConsistentRead=True)
    return shown(answer.get("Item"))


def at_least(item: Mapping[str, Any], min_confidence: float) -> dict[str, Any]:
    """The item with only those findings whose Confidence is `min_confidence` (0 to 100) or more.

    A label that stays keeps all its instances.
    """
    return {
        name: [entry for entry in value if entry.get("Confidence", 100.0) >= min_confidence]
        if name in FEATURES and isinstance(value, list)
        else value
        for name, value in item.items()
    }
