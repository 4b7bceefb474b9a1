"""The list of results from the bucket: a plain listing of its index, which is in the order of time.

An entry whose result says another time is left over from a result that was renewed, or announces one that is
just being written; it is skipped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws_clients import is_late
from shared.bucket_results import BucketResults, read_object
from shared.log import log_failure
from shared.result_objects import FAILED, INDEX, index_object, index_start, name_of, parse_index
from shared.results import key_possible
from web.cursor import Place
from web.pages import Found, Name, Read

if TYPE_CHECKING:
    from shared.result_item import Stored

PARALLEL_READS = 16
"""Results read at once: a page of a hundred in seven rounds."""

_NAME_BYTES = 1000


@dataclass(frozen=True, kw_only=True)
class BucketList(BucketResults):
    """In a place of this list `object_key` is the name within the index, where a very long key is hashed.

    failed_index: whether the index of failed results holds all of them.
    """

    failed_index: bool

    def walk(
        self,
        start: Place,
        limit: int,
        *,
        until_s: float,  # noqa: ARG002 - one call, no walk
        failed: bool = False,
    ) -> Found:
        """Entries of the index from `start` on, in order, at most `limit`."""
        index = FAILED if failed and self.failed_index else INDEX
        answer = self.s3.list_objects_v2(
            Bucket=self.bucket, Prefix=index, StartAfter=_start_after(start, index), MaxKeys=limit
        )
        found = [_place(entry["Key"]) for entry in answer.get("Contents", [])]
        entries = [place for place in found if place is not None]
        more = entries[-1] if answer["IsTruncated"] and entries else None
        return Found(entries=entries, more=more)

    def read(self, entries: list[Place], *, until_s: float) -> Read[Place]:
        """The stored items that their entries are right about, and the entries not reached in time."""
        found = self._objects({entry: entry.object_key or "" for entry in entries}, until_s)
        right = {e: item for e, item in found.items.items() if item.get("analyzedAt") == e.analyzed_at}
        return Read(items=right, behind=found.behind)

    def read_keys(self, keys: list[str], *, until_s: float) -> Read[str]:
        """The stored items of these pictures."""
        found = self._objects({key: name_of(key) for key in keys if key_possible(key)}, until_s)
        # The key inside is the one that counts, whatever the object's name says.
        right = {key: item for key, item in found.items.items() if item["objectKey"] == key}
        return Read(items=right, behind=found.behind, unreadable=found.unreadable)

    def _objects(self, names: Mapping[Name, str], until_s: float) -> Read[Name]:
        """The stored items of the objects with these names. Raises where none can be read."""
        items: dict[Name, Stored] = {}
        behind: set[Name] = set()
        refused: dict[Name, Exception] = {}
        first = next(iter(names), None)

        def one(wanted: Name) -> None:
            if time.monotonic() > until_s and wanted != first:
                behind.add(wanted)
                return
            try:
                found = read_object(self.s3, self.bucket, names[wanted])
            except (BotoCoreError, ClientError, ValueError) as error:
                if is_late(error):
                    behind.add(wanted)
                else:  # one that cannot be read hides none of the others
                    log_failure("result_not_read", error, name=names[wanted])
                    refused[wanted] = error
                return
            if found:
                items[wanted] = found[0]

        with ThreadPoolExecutor(max_workers=PARALLEL_READS) as pool:
            list(pool.map(one, names))  # what a thread raised is raised here
        if refused and len(refused) == len(names):
            raise next(iter(refused.values()))  # that is about none of them
        return Read(items=items, behind=behind, unreadable=frozenset(refused))


def _start_after(place: Place, index: str) -> str:
    if place.analyzed_at is None or place.object_key is None:
        return index_start(place.day, index)
    name = place.object_key
    # A cursor from the days of a table holds the key itself, which may be too long for the index.
    fitting = name if len(name.encode()) <= _NAME_BYTES else name_of(name)
    return index_object(place.analyzed_at, fitting, index)


def _place(object_key: str) -> Place | None:
    found = parse_index(object_key)
    if found is None:
        return None
    analyzed_at, name = found
    return Place(day=date.fromisoformat(analyzed_at[:10]), analyzed_at=analyzed_at, object_key=name)
