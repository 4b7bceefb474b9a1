"""Reading and writing verdicts, in a table.

Every write has the condition that nothing has changed since the item was read.
Needs `dynamodb:GetItem` and `dynamodb:PutItem` on the table, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from ingest.verdict_store import REVISION
from shared.dynamo_types import from_attributes, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutItemInputTypeDef

    from shared.result_item import Stored


@dataclass(frozen=True, kw_only=True)
class VerdictTable:
    """The results table as the ingest function uses it."""

    dynamodb: DynamoDBClient
    name: str

    def read(self, key: str) -> Stored | None:
        answer = self.dynamodb.get_item(
            TableName=self.name, Key=to_attributes({"objectKey": key}), ConsistentRead=True
        )
        return cast("Stored", from_attributes(answer["Item"])) if answer.get("Item") else None

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        request: PutItemInputTypeDef = {
            "TableName": self.name,
            "Item": to_attributes(item),
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": "objectKey"},
        }
        if seen is not None:
            before: Mapping[str, Any] = seen
            # "status" is a word reserved by DynamoDB, so all names go through aliases.
            request["ConditionExpression"] = " AND ".join(
                f"#{name} = :{name}" if name in before else f"attribute_not_exists(#{name})"
                for name in REVISION
            )
            request["ExpressionAttributeNames"] = {f"#{name}": name for name in REVISION}
            request["ExpressionAttributeValues"] = to_attributes(
                {f":{name}": before[name] for name in REVISION if name in before}
            )
        try:
            self.dynamodb.put_item(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True
