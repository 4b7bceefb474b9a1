"""A store of results whose results can be found by what is in them.

The order is: a stored result lists the rows to come, the rows, the result, the removal of rows that it no
longer has. A stop in between leaves rows too many, which readers skip, and the numbers of labels count. The
stored item lists them, so the next try of the event removes them, or the next result of the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from ingest.faults import Fault, TryAgain, passing
from ingest.index_table import IndexTable, TooMuch
from ingest.result_store import ResultStore
from shared.index_rows import entries, is_indexed
from shared.log import log_failure
from shared.results import REMOVED

if TYPE_CHECKING:
    from shared.result_item import Stored

_MARKS = ("indexed", "indexedAt", "notIndexed")


@dataclass(frozen=True, kw_only=True)
class IndexedStore:
    """now_ms: milliseconds since 1970."""

    store: ResultStore
    index: IndexTable
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    def read(self, key: str) -> Stored | None:
        return self.store.read(key)

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        """Also write the item's rows. Raises TryAgain where it is stored and its rows are not right yet."""
        listed = set(seen.get("indexed", ())) if seen else set()
        own = _entries(item)
        # Rows that the seen item lists and has not itself may have been removed.
        if seen is not None and is_indexed(seen) and listed == set(own) == set(_entries(seen)):
            return self.store.replace(_with(item, own, seen["indexedAt"]), seen=seen)
        # Later than all rows that are there, whatever the clocks say.
        at = max(self.now_ms(), (seen.get("indexedAt", 0) if seen else 0) + 2)
        if seen is not None and is_indexed(seen) and not listed.issuperset(own):
            # Its own rows are as old as before: in an index that was made since then they are missing.
            announced = _with(seen, [*listed, *own], seen["indexedAt"] + 1)
            if not self.store.replace(announced, seen=seen):
                return False
            seen = announced
        try:
            self.index.put(item, own, at)
        except (BotoCoreError, ClientError, TooMuch) as error:
            log_failure("not_indexed", error)
            if not self.store.replace(_with(item, [*listed, *own], None), seen=seen):
                return False
            raise TryAgain(_not_indexed()) from error
        over = listed.difference(own)
        stored = _with(item, [*own, *over], at)
        if not self.store.replace(stored, seen=seen):
            return False
        if over:
            self._remove(stored, own, over)
        return True

    def _remove(self, stored: Stored, own: list[str], over: set[str]) -> None:
        """Take away the rows that the result no longer has."""
        try:
            self.index.remove(stored["objectKey"], over, stored["indexedAt"])
            self.store.replace(_with(stored, own, stored["indexedAt"] + 1), seen=stored)
        except (BotoCoreError, ClientError) as error:
            log_failure("rows_left", error)
            raise TryAgain(_rows_left()) from error


def _entries(item: Stored) -> list[str]:
    return [] if item["status"] == REMOVED else entries(item)


def _with(item: Stored, listed: list[str], at: int | None) -> Stored:
    """at: None where not all of the rows are there."""
    plain = {name: value for name, value in item.items() if name not in _MARKS}
    mark = {"notIndexed": True} if at is None else {"indexedAt": at}
    return cast("Stored", {**plain, "indexed": sorted(set(listed)), **mark})


def _not_indexed() -> Fault:
    return passing("not_indexed", "The result is stored, and find does not show it yet.")


def _rows_left() -> Fault:
    return passing("rows_left", "The result is stored, and labels still counts one of before.")
