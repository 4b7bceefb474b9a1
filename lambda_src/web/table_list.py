"""The list of results from the table.

The index by time holds one partition for each day. A page is gathered by walking back day by day: the first
alone, since it may be a busy one, then a few days at once, until it is full, the pipeline's first day is
reached, or the time is up. Failed results have an index of their own with a single partition: one question
finds them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.dynamo_types import from_attributes, to_attributes
from shared.results import key_possible
from shared.table_results import TableResults
from shared.table_rows import FAILED, IS_FAILED, stored_in
from web.cursor import Place
from web.pages import Found, Read

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from shared.result_item import Stored

PARALLEL_DAYS = 8
"""Days asked for at once: a quiet week in one go, without a crowd of connections."""

PAUSE_S = 0.05
"""Before unprocessed keys are asked for again: the table said that it was too much at once."""

_NO_INDEX = frozenset({"ValidationException", "ResourceNotFoundException"})


@dataclass(frozen=True, kw_only=True)
class TableList(TableResults):
    """Needs `dynamodb:Query` on the indexes and `dynamodb:BatchGetItem` on the table as well.

    failed_index: "" while no index holds all failed results.
    """

    index: str
    failed_index: str
    first_day: date

    def walk(self, start: Place, limit: int, *, until_s: float, failed: bool = False) -> Found:
        """Entries of the index from `start` on, in order, at most `limit`."""
        if failed and self.failed_index:
            try:
                return self._walk_failed(start, limit)
            except ClientError as error:
                # Somebody removed the index; while `up` makes it anew, DynamoDB refuses to read it.
                if error.response["Error"]["Code"] not in _NO_INDEX:
                    raise
        return self._walk_days(start, limit, until_s)

    def _walk_failed(self, start: Place, limit: int) -> Found:
        entries = self._query(self.failed_index, (FAILED, IS_FAILED), start, limit + 1)
        return Found(entries=entries[:limit], more=entries[limit - 1] if len(entries) > limit else None)

    def _walk_days(self, start: Place, limit: int, until_s: float) -> Found:
        entries: list[Place] = []
        with ThreadPoolExecutor(max_workers=PARALLEL_DAYS) as pool:
            # A list begins tomorrow, since clocks differ, and goes on inside of a day.
            first = 2 if start.object_key is None else 1
            for days in _groups_of_days(start.day, self.first_day, first):
                if len(entries) >= limit or (
                    (entries or days[0] != start.day) and time.monotonic() > until_s
                ):
                    return Found(entries=entries[:limit], more=_after(entries, limit, days[0]))
                starts = [start if day == start.day else Place(day=day) for day in days]
                for part in pool.map(lambda place: self._day(place, limit + 1), starts):
                    entries += part
        return Found(entries=entries[:limit], more=entries[limit - 1] if len(entries) > limit else None)

    def _day(self, place: Place, limit: int) -> list[Place]:
        """The newest entries of one day, at most `limit`, after `place`."""
        return self._query(self.index, ("day", place.day.isoformat()), place, limit)

    def _query(self, index: str, partition: tuple[str, str], place: Place, limit: int) -> list[Place]:
        """The newest entries of a partition, which is named by its attribute and value, after `place`."""
        name, value = partition
        query: QueryInputTypeDef = {
            "TableName": self.table,
            "IndexName": index,
            # The days after that of `place` are in other partitions, or are passed over here.
            "KeyConditionExpression": "#partition = :partition AND analyzedAt < :next",
            "ExpressionAttributeNames": {"#partition": name},
            "ExpressionAttributeValues": to_attributes({":partition": value, ":next": _day_after(place.day)}),
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if place.object_key is not None:
            query["ExclusiveStartKey"] = to_attributes(
                {name: value, "analyzedAt": place.analyzed_at, "objectKey": place.object_key}
            )
        rows = [from_attributes(row) for row in self.dynamodb.query(**query)["Items"]]
        return [
            Place(
                day=date.fromisoformat(row["analyzedAt"][:10]),
                analyzed_at=row["analyzedAt"],
                object_key=row["objectKey"],
            )
            for row in rows
        ]

    def read(self, entries: list[Place], *, until_s: float) -> Read[Place]:
        """The stored items, and the entries that DynamoDB did not get to in time."""
        # Once each: DynamoDB refuses a list "that contains duplicates".
        unique = dict.fromkeys(entry.object_key for entry in entries if entry.object_key is not None)
        found = self._batch(list(unique), until_s)
        stored = dict(found.items)
        return Read(
            # Popped, since the index may list one key twice for a moment after its result was renewed.
            items={
                entry: stored.pop(entry.object_key)
                for entry in entries
                if entry.object_key is not None and entry.object_key in stored
            },
            behind={entry for entry in entries if entry.object_key in found.behind},
        )

    def read_keys(self, keys: list[str], *, until_s: float) -> Read[str]:
        """The stored items of these pictures, read consistently like that of a single one."""
        return self._batch([key for key in keys if key_possible(key)], until_s, consistent=True)

    def _batch(self, object_keys: list[str], until_s: float, *, consistent: bool = False) -> Read[str]:
        """At most 100 keys. BatchGetItem answers with at most 16 MB and leaves the rest "unprocessed", under
        a 200."""
        stored: dict[str, Stored] = {}
        keys: list[dict[str, Any]] = [to_attributes({"objectKey": key}) for key in object_keys]
        while keys:
            answer = self.dynamodb.batch_get_item(
                RequestItems={self.table: {"Keys": keys, "ConsistentRead": consistent}}
            )
            found = [stored_in(row) for row in answer["Responses"].get(self.table, [])]
            stored |= {item["objectKey"]: item for item in found}
            unprocessed = answer.get("UnprocessedKeys", {}).get(self.table)
            keys = list(unprocessed["Keys"]) if unprocessed else []
            if keys and time.monotonic() > until_s:
                break
            if keys:
                time.sleep(PAUSE_S)
        return Read(items=stored, behind={key["objectKey"]["S"] for key in keys})


def _after(entries: list[Place], limit: int, day: date) -> Place:
    """The last entry shown if some are left over, else the start of the first day not looked at."""
    return entries[limit - 1] if len(entries) > limit else Place(day=day)


def _day_after(day: date) -> str:
    return (day + timedelta(days=1)).isoformat()


def _groups_of_days(newest: date, oldest: date, first: int) -> Iterator[list[date]]:
    """All days from `newest` back to `oldest`, so many at first, then a few more at a time."""
    count = (newest - oldest).days + 1
    done, size = 0, min(first, count)
    while size > 0:
        yield [newest - timedelta(days=done + further) for further in range(size)]
        done += size
        size = min(PARALLEL_DAYS, count - done)
