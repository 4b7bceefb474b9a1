"""Reading results from the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dynamo_types import to_attributes
from shared.results import key_possible, shown
from shared.table_rows import stored_in

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shared.result_item import ResultItem


@dataclass(frozen=True, kw_only=True)
class TableResults:
    """Needs `dynamodb:GetItem` on the table."""

    dynamodb: DynamoDBClient
    table: str

    def get(self, key: str) -> ResultItem | None:
        """The result of one picture, or None.

        Read consistently: that costs one read unit for each 4 KB instead of half of one, and a poll right
        after the result was written never answers 404.
        """
        if not key_possible(key):
            return None
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=to_attributes({"objectKey": key}), ConsistentRead=True
        )
        item = answer.get("Item")
        return shown(stored_in(item)) if item else None
