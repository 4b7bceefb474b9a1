"""Reading the index table: rows by which pictures are found, names of labels, and how far the index is.

Needs `dynamodb:Query` and `dynamodb:GetItem` on the index table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from shared.dynamo_types import from_attributes, to_attributes
from shared.index_rows import ALIASES, LABELS, STATE, alias_beginning, folded, label_pk, rank

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARALLEL_QUERIES = 16

_AFTER_ALL = "\U0010ffff"
_HASHES_END = "#g"
"""After every hash, which is hexadecimal."""

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Count:
    """complete: whether all were counted, or the time was up."""

    number: int
    complete: bool


@dataclass(frozen=True, kw_only=True)
class IndexReader:
    """What is read may be older than the last second: results decide."""

    dynamodb: DynamoDBClient
    table: str

    def rows(
        self, pk: str, after: str, min_confidence: float, limit: int
    ) -> tuple[list[tuple[str, str]], bool]:
        """(sk, key) of the rows after that sk, the most certain first, and whether there are more."""
        found, more = self._query(pk, f"{after}!", rank(min_confidence) + _HASHES_END, limit)
        return [(row["sk"], row["key"]) for row in found], more

    def hashes(self, pk: str, min_confidence: float, limit: int) -> tuple[set[str], bool]:
        """The hashes of at most so many keys, and whether there are more."""
        upper = rank(min_confidence) + _HASHES_END
        found, more = self._query(pk, "!", upper, limit, {"ProjectionExpression": "sk"})
        return {row["sk"].partition("#")[2] for row in found}, more

    def few(self, pks: Iterable[str], min_confidence: float, limit: int) -> set[str] | None:
        """The hashes of all keys with one of these; None where one has more than so many."""
        found: set[str] = set()
        for pk in pks:
            some, more = self.hashes(pk, min_confidence, limit)
            if more:
                return None
            found |= some
        return found

    def count(self, pk: str, min_confidence: float, until_s: float) -> Count:
        """How many rows there are, as far as they can be counted until then (monotonic)."""
        number = 0
        start: dict[str, Any] = {}
        while True:
            answer = self.dynamodb.query(
                **self._between(pk, "!", rank(min_confidence) + _HASHES_END), Select="COUNT", **start
            )
            number += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return Count(number=number, complete=True)
            if time.monotonic() > until_s:
                return Count(number=number, complete=False)
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def labels_called(self, name: str) -> list[str]:
        """The pks of what a label's name means: the label itself, and those that have it as another name."""
        beginning = alias_beginning(name)
        found, _ = self._query(ALIASES, beginning, beginning + _AFTER_ALL, PARALLEL_QUERIES)
        # Those of "c#" begin like those of "c".
        called = [row["name"] for row in found if row["sk"] == beginning + folded(row["name"])]
        return list(dict.fromkeys(label_pk(one) for one in (name, *called)))

    def names(self, prefix: str, after: str, limit: int) -> tuple[list[tuple[str, str]], bool]:
        """(folded, name) of labels whose folded name begins so, after that one; whether there are more."""
        beginning = folded(prefix)
        lower = f"{after}\x00" if after >= beginning and after else beginning or "\x00"
        found, more = self._query(LABELS, lower, beginning + _AFTER_ALL, limit)
        return [(row["sk"], row["name"]) for row in found], more

    def state(self) -> Mapping[str, Any]:
        """`filled` and `of` results while older ones are being added; empty before."""
        pk, sk = STATE
        answer = self.dynamodb.get_item(TableName=self.table, Key=to_attributes({"pk": pk, "sk": sk}))
        return from_attributes(answer.get("Item", {}))

    def _query(
        self, pk: str, lower: str, upper: str, limit: int, more: Mapping[str, Any] | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        if lower > upper:
            return [], False
        answer = self.dynamodb.query(**self._between(pk, lower, upper), Limit=limit, **(more or {}))
        return [from_attributes(row) for row in answer["Items"]], "LastEvaluatedKey" in answer

    def _between(self, pk: str, lower: str, upper: str) -> dict[str, Any]:
        return {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :lower AND :upper",
            "ExpressionAttributeValues": to_attributes({":pk": pk, ":lower": lower, ":upper": upper}),
        }


def side_by_side(work: Callable[[Thing], Answer], things: Iterable[Thing]) -> list[Answer]:
    """What comes of each, in their order; raises what one of them raised."""
    wanted = list(things)
    if len(wanted) < 2:
        return [work(thing) for thing in wanted]
    with ThreadPoolExecutor(max_workers=min(PARALLEL_QUERIES, len(wanted))) as pool:
        return list(pool.map(work, wanted))
