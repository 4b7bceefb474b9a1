"""A stored item as a row of the table.

The row of a failed result has one attribute more: the key of an index that holds nothing but failed results,
so that a few of them are found among millions. The command line loads this very file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from .dynamo_types import from_attributes, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from shared.result_item import Stored

FAILED = "failed"
"""The attribute that only rows of failed results have."""

IS_FAILED = "yes"
"""Its value: one for all, so one question finds them all, newest first."""


def row_of(item: Mapping[str, Any]) -> dict[str, AttributeValueTypeDef]:
    """The stored item as DynamoDB takes it."""
    return to_attributes({**item, **({FAILED: IS_FAILED} if item["status"] == "failed" else {})})


def stored_in(row: Mapping[str, AttributeValueTypeDef]) -> Stored:
    """The stored item of a row."""
    return cast("Stored", from_attributes({name: row[name] for name in row if name != FAILED}))
