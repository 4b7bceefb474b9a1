"""Finding pictures of the same bytes whose analysis may be used again.

Needs `dynamodb:BatchGetItem`, `PutItem` and `Query` on the index, and what reading a result needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.analysis import Findings
from ingest.reuse import Sought, answers
from shared import index_rows
from shared.aws_clients import aws_code
from shared.dynamo_types import from_attributes, to_attributes
from shared.result_objects import iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shared.result_item import Stored

_AT_ONCE = 10
_PAGES = 5
"""So many rows at once, and no more pages: few pictures that are gone have rows, and of those whose result
is just being stored there are no more than runs of the function."""


@dataclass(frozen=True, kw_only=True)
class Twins:
    """read: the stored item of a key, or None. noted: feature -> the model that was noted last from here."""

    dynamodb: DynamoDBClient
    table: str
    read: Callable[[str], Stored | None]
    noted: dict[str, str] = field(default_factory=dict)

    def answers(self, sought: Sought) -> dict[str, Findings]:
        """The answers that need not be paid. Raises ClientError or BotoCoreError as AWS gives them."""
        found: dict[str, Findings] = {}
        newest = self.newest_models(sought.features)
        stored: dict[str, Stored | None] = {}
        for feature in sought.features:
            keys = self._keys(sought.sha256, feature, newest.get(feature, ""))
            for key in keys if feature not in found else ():
                if key not in stored:
                    stored[key] = self.read(key)
                usable = answers(replace(sought, newest=newest), stored[key])
                found = {**usable, **found}
                if feature in found:
                    break
        return found

    def _keys(self, sha256: str, feature: str, model: str) -> Iterator[str]:
        """Of pictures of these bytes that have the model's answer: hundreds may have that of another.

        model: "" where none has been seen, as in an index that was made anew: then any counts as the newest.
        """
        place = {":pk": index_rows.sha256_pk(sha256, feature)}
        condition = "pk = :pk"
        if model:
            place[":model"] = f"{index_rows.mark_of(model)}#"
            condition += " AND begins_with(sk, :model)"
        start: dict[str, Any] = {}
        for _ in range(_PAGES):
            answer = self.dynamodb.query(
                TableName=self.table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=to_attributes(place),
                ConsistentRead=True,
                Limit=_AT_ONCE,
                **start,
            )
            for row in answer["Items"]:
                yield from_attributes(row)["key"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def newest_models(self, features: tuple[str, ...]) -> dict[str, str]:
        """Feature -> the newest model seen; without those that no answer has named one for."""
        keys = [to_attributes({"pk": index_rows.model_pk(one), "sk": index_rows.ONE}) for one in features]
        models: dict[str, str] = {}
        while keys:
            answer = self.dynamodb.batch_get_item(
                RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}}
            )
            rows = map(from_attributes, answer["Responses"].get(self.table, []))
            models |= {row["pk"].partition("#")[2]: row["model"] for row in rows}
            left = answer.get("UnprocessedKeys", {}).get(self.table)
            keys = list(left["Keys"]) if left else []
        return models

    def saw_model(self, feature: str, model: str, now: datetime) -> None:
        """Note that this model has answered. Raises ClientError or BotoCoreError as DynamoDB gives them."""
        if self.noted.get(feature) == model:
            return
        row = {"pk": index_rows.model_pk(feature), "sk": index_rows.ONE, "model": model, "at": iso(now)}
        try:
            self.dynamodb.put_item(
                TableName=self.table,
                Item=to_attributes(row),
                ConditionExpression="attribute_not_exists(pk) OR (model <> :model AND #at <= :at)",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues=to_attributes({":model": model, ":at": iso(now)}),
            )
        except ClientError as error:
            if aws_code(error) != "ConditionalCheckFailedException":
                raise
        self.noted[feature] = model
