"""Reading and writing results, in a table.

Every write has the condition that nothing has changed since the item was read.
Needs `dynamodb:GetItem` and `dynamodb:PutItem` on the table, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shared.dynamo_types import to_attributes, unchanged
from shared.table_rows import row_of, stored_in

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shared.result_item import Stored


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """The results table as the ingest function uses it."""

    dynamodb: DynamoDBClient
    name: str

    def read(self, key: str) -> Stored | None:
        answer = self.dynamodb.get_item(
            TableName=self.name, Key=to_attributes({"objectKey": key}), ConsistentRead=True
        )
        return stored_in(answer["Item"]) if answer.get("Item") else None

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        try:
            self.dynamodb.put_item(TableName=self.name, Item=row_of(item), **unchanged(seen))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True
