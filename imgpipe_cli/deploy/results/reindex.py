"""The indexes of the results, made to agree with the results: `imgpipe up --repair-index`.

In S3 the pipeline writes the entries before the result, so none is ever missing; one that is left over is
skipped by readers. What this repairs is what hands, or a stop at the wrong moment, have left: entries without
a result cost a moment of each listing, and a result without its entries is in no list.

DynamoDB keeps the table's indexes itself. A failed result from before there was an index of failed results
lacks the attribute by which it is in there: it gets that here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.results.store import (
    PARALLEL,
    REFUSED_TO_ALL,
    BucketStore,
    TableStore,
    is_about_one,
)
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas.source import result_objects as rules
from imgpipe_cli.pictures.sources import few
from imgpipe_cli.system.threads import Pool

# An entry this young may announce a result that is just being written; a run of the function takes less.
_YOUNG_S = 900
_INDEXES = (rules.INDEX, rules.FAILED)


@dataclass(frozen=True)
class Repaired:
    """How many results were read, and how many entries were missing and were added, or left over and removed.

    refused: what is wrong with each result that cannot be read, or whose entry cannot be set, by its name.
    """

    read: int
    added: int
    removed: int = 0
    refused: Mapping[str, AwsError] = field(default_factory=dict)


def repair(store: TableStore | BucketStore, *, now_s: Callable[[], float] = time.time) -> Repaired:
    """Read every result and put the indexes right; single results that are refused stop no other. Raises
    Problem."""
    try:
        return _Repair(store).run(now_s()) if isinstance(store, BucketStore) else _mark(store)
    except AwsError as error:
        raise problem(error, f"repair the index in {store.name}") from error


def _mark(table: TableStore) -> Repaired:
    read = added = 0
    with Pool(PARALLEL, thread_name_prefix="repair") as pool:
        for unmarked, count in table.unmarked():
            read += count
            added += sum(pool.map(table.mark, unmarked))
    return Repaired(read, added)


def refuse_unfinished(repaired: Repaired, store: TableStore | BucketStore) -> None:
    """Raise the Problem of the results that were refused, if there are any."""
    refused = repaired.refused
    if not refused:
        return
    names = few([repr(name) for name in sorted(refused)])
    found = problem(refused[min(refused)], f"repair the index for the results of {names} in {store.name}")
    hint = "The index of all others is right. Remove the cause, or these objects, then run it again."
    raise Problem(found.code, found.message, hint=hint)


class _Repair:
    def __init__(self, store: BucketStore) -> None:
        self._store = store
        self._refused: dict[str, AwsError] = {}
        self._done = 0

    def run(self, now_s: float) -> Repaired:
        # The entries first: a result that comes later brings its own.
        there = {entry["Key"] for index in _INDEXES for entry in self._store.listed(index)}
        right: set[str] = set()
        for item in self._store.items({}, self._refuse):
            self._done += 1
            right.update(rules.entries_of(item))
        read = self._done
        over = [entry for entry in there - right if not _young(entry, now_s) and not self._is_unread(entry)]
        with Pool(PARALLEL, thread_name_prefix="repair") as pool:
            added = sum(pool.map(partial(self._change, "put_object", Body=b""), right - there))
            removed = sum(pool.map(partial(self._change, "delete_object"), over))
        return Repaired(read, added, removed, self._refused)

    def _refuse(self, name: str, error: AwsError) -> None:
        self._refused[name] = error
        if not self._done and len(self._refused) >= REFUSED_TO_ALL:
            raise error

    def _is_unread(self, entry: str) -> bool:
        """Whether the entry may belong to a result that could not be read: then it stays."""
        found = rules.parse_index(entry)
        return found is not None and found[1] in self._refused

    def _change(self, operation: str, entry: str, **params: Any) -> bool:
        try:
            self._store.aws.call("s3", operation, Bucket=self._store.bucket, Key=entry, **params)
        except AwsError as error:
            if not is_about_one(error):
                raise
            found = rules.parse_index(entry)
            self._refused[found[1] if found else entry] = error
            return False
        self._done += 1
        return True


def _young(entry: str, now_s: float) -> bool:
    """Whether an entry may be ahead of its result; what imgpipe did not put there is not."""
    found = rules.parse_index(entry)
    return found is not None and now_s * 1000 - rules.milliseconds(found[0]) < _YOUNG_S * 1000
