"""The rows by which pictures are found, made from the stored results; nothing is analyzed.

The ingest function writes them with each result. Those of results from before there was an index are added
here by `up`, and what hands or a stop at the wrong moment have left is put right by `up --repair-index`.
A result says itself when its rows were written, so a run that was stopped goes on where it ended. In a table
that was made after that, as where somebody removed the index, there are none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.deploy.results.store import PARALLEL, BucketStore, TableStore, batches, name_of
from imgpipe_cli.lambdas.source import dynamo_types
from imgpipe_cli.lambdas.source import index_rows as rules
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from shared.result_item import Stored

# A row this young may be ahead of its result; a run of the function takes less.
_YOUNG_MS = 900_000
# So long the failure queue keeps an event. Until it comes again, its claim tells what is counted already.
_REMEMBERED_S = 14 * 24 * 3600
# AWS refuses the calls of clocks that are more wrong than that. Those that wrote `indexedAt` may be ahead.
_SKEW_MS = 900_000
# Results between two notes of how far the index is.
_NOTED_EVERY = 500
_TRIES = 8
_PAUSE_S = 0.1

Progress = Callable[[int], object]


@dataclass
class RowIndex:
    """now_ms: milliseconds since 1970."""

    aws: Aws
    table: str
    store: TableStore | BucketStore
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    _names: set[tuple[str, str]] = field(default_factory=set)

    def fill(self, progress: Progress, *, of: int | None = None) -> int:
        """Put right the rows of results that have none, or others as of an earlier imgpipe; how many results
        those were. Raises AwsError.

        of: how many results there are, for those who ask how far it is.
        """
        seen = added = noted = 0
        since = self._filled_since()
        with Pool(PARALLEL, thread_name_prefix="index") as pool:
            for some in batches(self._results()):
                seen += len(some)
                lacking = (
                    one for one in some if one.get("indexedAt", 0) < since or not rules.is_settled(one)
                )
                added += sum(pool.map(partial(self._renew, since=since), lacking))
                if seen - noted >= _NOTED_EVERY:
                    noted = seen
                    self._note(seen, of)
                    progress(seen)
        return added

    def repair(self) -> tuple[int, int]:
        """How many rows were missing and were added, and how many were left over and removed.

        Left over are also the claims of runs that were stopped long ago. Raises AwsError.
        """
        unread: set[str] = set()
        right: set[int] = set()
        added = removed = 0
        # There may be millions to read: what comes in the meantime is not over, however long ago it came.
        old_ms = self.now_ms() - _YOUNG_MS
        for item in self._results(lambda name, _error: unread.add(name)):
            own = rules.entries(item)
            # A row that its result does not list would stay for good, as one that an earlier imgpipe lacked.
            if rules.is_indexed(item) and set(own) <= set(item.get("indexed", ())):
                self._put(self._new_names(item))
            else:
                added += len(own) if self._add(item) else 0
            right.update(_mark(*rules.row_of(one, item["objectKey"])) for one in own)
        with Pool(PARALLEL, thread_name_prefix="index") as pool:
            for found in batches(self._rows()):
                removed += sum(pool.map(self._end, (row for row in found if self._is_forgotten(row))))
                rows = [row for row in found if "key" in row]
                over = [row for row in rows if _mark(row["pk"], row["sk"]) not in right]
                right.difference_update(_mark(row["pk"], row["sk"]) for row in rows)
                removed += sum(pool.map(self._remove, (row for row in over if _is_over(row, unread, old_ms))))
        if right:
            added += sum(self._put_missing(item, right) for item in self._results())
        return added, removed

    def clear(self) -> int:
        """Remove the rows of all results, since these are gone; how many. Raises AwsError.

        Rows that come meanwhile stay: another run may have made a new store.
        """
        now_ms = self.now_ms()
        removed = 0
        with Pool(PARALLEL, thread_name_prefix="index") as pool:
            for found in batches(self._rows()):
                gone = (row for row in found if "key" in row and row.get("at", 0) < now_ms)
                removed += sum(pool.map(self._remove, gone))
        return removed

    def _filled_since(self) -> int:
        """From when on `indexedAt` tells that rows are in this table, in milliseconds since 1970; above 0."""
        table = self.aws.call("dynamodb", "describe_table", TableName=self.table)["Table"]
        return int(table["CreationDateTime"].timestamp() * 1000) + _SKEW_MS

    def _results(self, refused: Callable[[str, AwsError], None] | None = None) -> Iterator[Stored]:
        found = self.store.items({}, refused or (lambda _name, _error: None))
        return (item for item in found if item["status"] != "removed")

    def _rows(self) -> Iterator[dict[str, Any]]:
        for page in self.aws.pages("dynamodb", "scan", TableName=self.table, ConsistentRead=True):
            yield from map(dynamo_types.from_attributes, page["Items"])

    def _renew(self, item: Stored, since: int) -> bool:
        """Add the rows of a result, and take away those that it no longer has. False as in _add."""
        added = self._add(item, since)
        if added and not rules.is_settled(added):
            own = rules.entries(added)
            over = set(added["indexed"]) - set(own)
            for row in rules.rows_of(added, over, added["indexedAt"]):
                self._remove(row)
            listed = {**added, "indexed": own, "indexedAt": added["indexedAt"] + 1}
            self.store.renew(cast("Stored", listed), added)
        return added is not None

    def _add(self, item: Stored, since: int = 0) -> Stored | None:
        """The result as it is stored then; None where another one came meanwhile, which has rows of its own.

        since: the least time.
        """
        own, at = rules.entries(item), max(self.now_ms(), since, item.get("indexedAt", 0) + 1)
        self._put([*rules.rows_of(item, own, at), *self._new_names(item)])
        listed = sorted({*own, *item.get("indexed", ())})
        found = {**item, "indexed": listed, "indexedAt": at}
        found.pop("notIndexed", None)
        indexed = cast("Stored", found)
        return indexed if self.store.renew(indexed, item) else None

    def _new_names(self, item: Stored) -> list[dict[str, Any]]:
        """The rows of the names in it that were not written by this run."""
        found = rules.rows_of_names(item)
        new = [row for place, row in found.items() if place not in self._names]
        self._names.update(found)
        return new

    def _put_missing(self, item: Stored, missing: set[int]) -> int:
        key = item["objectKey"]
        own = [one for one in rules.entries(item) if _mark(*rules.row_of(one, key)) in missing]
        self._put(rules.rows_of(item, own, item.get("indexedAt", self.now_ms())))
        return len(own)

    def _put(self, rows: Iterable[Mapping[str, Any]]) -> None:
        wanted = [{"PutRequest": {"Item": dynamo_types.to_attributes(row)}} for row in rows]
        for start in range(0, len(wanted), rules.MAX_BATCH):
            requests = wanted[start : start + rules.MAX_BATCH]
            for tried in range(_TRIES):
                if tried:
                    self.aws.sleep(_PAUSE_S * 2.0**tried)
                answer = self.aws.call("dynamodb", "batch_write_item", RequestItems={self.table: requests})
                requests = answer.get("UnprocessedItems", {}).get(self.table, [])
                if not requests:
                    break
            else:
                text = "DynamoDB has too much to do to take all rows"
                raise AwsError("Throttling", text, service="dynamodb", operation="batch_write_item")

    def _is_forgotten(self, row: Mapping[str, Any]) -> bool:
        """Whether it is a claim that ended so long ago that nothing asks for its bytes by itself."""
        return "endsAt" in row and self.now_ms() - row["endsAt"] * 1000 > _REMEMBERED_S * 1000

    def _end(self, claim: Mapping[str, Any]) -> bool:
        end = dynamo_types.to_attributes({":end": claim["endsAt"]})
        return self._delete(claim, ConditionExpression="endsAt = :end", ExpressionAttributeValues=end)

    def _remove(self, row: Mapping[str, Any]) -> bool:
        return self._delete(row, **rules.unless_newer(row.get("at", 0) + 1))

    def _delete(self, row: Mapping[str, Any], **unchanged: Any) -> bool:
        """False where it was written anew meanwhile."""
        place = dynamo_types.to_attributes({"pk": row["pk"], "sk": row["sk"]})
        try:
            self.aws.call("dynamodb", "delete_item", TableName=self.table, Key=place, **unchanged)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _note(self, filled: int, of: int | None) -> None:
        pk, sk = rules.STATE
        row = {"pk": pk, "sk": sk, "filled": filled, **({} if of is None else {"of": of})}
        self.aws.call("dynamodb", "put_item", TableName=self.table, Item=dynamo_types.to_attributes(row))


def _is_over(row: Mapping[str, Any], unread: set[str], old_ms: int) -> bool:
    """Whether a row without a result may go."""
    return row.get("at", 0) < old_ms and name_of(cast("Stored", {"objectKey": row["key"]})) not in unread


def _mark(pk: str, sk: str) -> int:
    """Short for a row: there may be millions."""
    return hash((pk, sk))
