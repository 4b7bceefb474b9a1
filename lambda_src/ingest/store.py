"""Reading and writing verdicts, in a table.

Every write has a condition, so no order of events can put an old verdict over a new one.
Needs `dynamodb:GetItem` and `dynamodb:PutItem` on the table, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from shared.dynamo_types import from_attributes, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutItemInputTypeDef


class VerdictStore(Protocol):
    """Where verdicts are kept, as the ingest function uses it. What the store itself raises comes through."""

    def read(self, key: str) -> dict[str, Any] | None:
        """The stored item with its internal attributes, or None. Never stale: that would pay twice."""
        ...

    def write(self, item: Mapping[str, Any]) -> bool:
        """Store a verdict; False when what is stored comes from a newer event, or is better."""
        ...

    def replace(self, item: Mapping[str, Any], *, seen: Mapping[str, Any] | None) -> bool:
        """Put `item` in place of what was `seen`; False when that has changed since."""
        ...


# "status" is a word reserved by DynamoDB, so all names go through aliases.
_NAMES = {"#key": "objectKey", "#seq": "sequencer", "#status": "status"}

# "<=" and not "<": the retry of an event must be able to finish what the first try began.
_NOT_NEWER = "#seq <= :seq AND NOT (#status = :removed AND #version = :version)"
# A failure never hides a good result of the very same event.
_NOT_DONE = "AND NOT (#seq = :seq AND #status = :done)"


@dataclass(frozen=True, kw_only=True)
class VerdictTable:
    """The results table as the ingest function uses it."""

    dynamodb: DynamoDBClient
    name: str

    def read(self, key: str) -> dict[str, Any] | None:
        answer = self.dynamodb.get_item(
            TableName=self.name, Key=to_attributes({"objectKey": key}), ConsistentRead=True
        )
        return from_attributes(answer["Item"]) if answer.get("Item") else None

    def write(self, item: Mapping[str, Any]) -> bool:
        # `shared.result_objects.may_replace` says the same in Python.
        failed = item["status"] == "failed"
        condition = f"attribute_not_exists(#key) OR ({_NOT_NEWER}{f' {_NOT_DONE}' if failed else ''})"
        values = {":seq": item["sequencer"], ":removed": "removed", ":version": item.get("versionId", "")}
        if failed:
            values[":done"] = "done"
        return self._put(item, condition, values, {**_NAMES, "#version": "versionId"})

    def replace(self, item: Mapping[str, Any], *, seen: Mapping[str, Any] | None) -> bool:
        if seen is None:
            return self._put(item, "attribute_not_exists(#key)", {}, {"#key": "objectKey"})
        values = {":seq": seen["sequencer"], ":status": seen["status"]}
        names = {"#seq": "sequencer", "#status": "status"}
        return self._put(item, "#seq = :seq AND #status = :status", values, names)

    def _put(
        self, item: Mapping[str, Any], condition: str, values: Mapping[str, str], names: Mapping[str, str]
    ) -> bool:
        request: PutItemInputTypeDef = {
            "TableName": self.name,
            "Item": to_attributes(item),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
        }
        if values:  # DynamoDB refuses an empty map
            request["ExpressionAttributeValues"] = to_attributes(values)
        try:
            self.dynamodb.put_item(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True
