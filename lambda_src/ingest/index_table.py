"""Writing the rows by which pictures are found; `shared/index_rows.py` says which there are.

Needs `dynamodb:BatchWriteItem` and `dynamodb:DeleteItem` on the index table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.aws_clients import aws_code
from shared.dynamo_types import to_attributes
from shared.index_rows import MAX_BATCH, row_of, rows_of, rows_of_names, unless_newer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shared.result_item import Stored

PARALLEL_WRITES = 16
"""Nearly always all rows of a picture at once, and its names, in batches of 25."""

_TRIES = 5
"""How often is sent what DynamoDB leaves unprocessed: it has too much to do at the moment."""

_PAUSE_S = 0.1


class TooMuch(Exception):
    """DynamoDB left rows unprocessed again and again."""


@dataclass(frozen=True, kw_only=True)
class IndexTable:
    """The index table as the ingest function uses it. What DynamoDB raises comes through."""

    dynamodb: DynamoDBClient
    table: str
    sleep: Callable[[float], None] = time.sleep
    _names: set[tuple[str, str]] = field(default_factory=set)
    """The rows of names that this process has written: they are the same for many pictures."""

    def put(self, item: Stored, entries: Iterable[str], at: int) -> None:
        """Write these rows of a result, and those of the names that stand in it."""
        names = rows_of_names(item).items()
        new = {place: row for place, row in names if place not in self._names}
        self._write([*rows_of(item, entries, at), *new.values()])
        self._names.update(new)

    def remove(self, key: str, entries: Iterable[str], at: int) -> None:
        """Remove these rows of a picture, but for those written for a result after this one."""

        def remove(entry: str) -> None:
            pk, sk = row_of(entry, key)
            row = to_attributes({"pk": pk, "sk": sk})
            try:
                self.dynamodb.delete_item(TableName=self.table, Key=row, **unless_newer(at))
            except ClientError as error:
                if aws_code(error) != "ConditionalCheckFailedException":
                    raise

        self._side_by_side(remove, list(entries))

    def _write(self, rows: list[Mapping[str, Any]]) -> None:
        batches = [rows[start : start + MAX_BATCH] for start in range(0, len(rows), MAX_BATCH)]
        self._side_by_side(self._batch, batches)

    def _batch(self, rows: list[Mapping[str, Any]]) -> None:
        requests: list[Any] = [{"PutRequest": {"Item": to_attributes(row)}} for row in rows]
        for tried in range(_TRIES):
            if tried:
                self.sleep(_PAUSE_S * 2.0**tried)
            answer = self.dynamodb.batch_write_item(RequestItems={self.table: requests})
            requests = list(answer.get("UnprocessedItems", {}).get(self.table, []))
            if not requests:
                return
        raise TooMuch(f"{len(requests)} rows of the index could not be written")

    def _side_by_side(self, work: Callable[[Any], None], things: list[Any]) -> None:
        if len(things) < 2:
            for thing in things:
                work(thing)
            return
        with ThreadPoolExecutor(max_workers=min(PARALLEL_WRITES, len(things))) as pool:
            list(pool.map(work, things))  # what a thread raised is raised here
