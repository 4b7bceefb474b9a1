"""The list of results from the bucket: a plain listing of its index, which is in the order of time.

An entry whose result says another time is left over from a result that was renewed, or announces one that is
just being written; it is skipped.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws_clients import is_late
from shared.bucket_results import BucketResults, read_object
from shared.log import log_failure
from shared.result_objects import INDEX, index_object, index_start, name_of, parse_index
from web.cursor import Place
from web.pages import Found, Read

if TYPE_CHECKING:
    from shared.result_item import Stored

PARALLEL_READS = 16
"""Results read at once: a page of a hundred in seven rounds."""

_NAME_BYTES = 1000


@dataclass(frozen=True, kw_only=True)
class BucketList(BucketResults):
    """In a place of this list `object_key` is the name within the index, where a very long key is hashed."""

    def walk(self, start: Place, limit: int, *, until_s: float) -> Found:  # noqa: ARG002 - one call, no walk
        """Entries of the index from `start` on, in order, at most `limit`."""
        answer = self.s3.list_objects_v2(
            Bucket=self.bucket, Prefix=INDEX, StartAfter=_start_after(start), MaxKeys=limit
        )
        found = [_place(entry["Key"]) for entry in answer.get("Contents", [])]
        entries = [place for place in found if place is not None]
        more = entries[-1] if answer["IsTruncated"] and entries else None
        return Found(entries=entries, more=more)

    def read(self, entries: list[Place], *, until_s: float) -> Read:
        """The stored items that their entries are right about, and the entries not reached in time."""
        items: dict[Place, Stored] = {}
        behind: set[Place] = set()
        refused: list[Exception] = []

        def one(entry: Place) -> None:
            if time.monotonic() > until_s and entry is not entries[0]:
                behind.add(entry)
                return
            try:
                found = read_object(self.s3, self.bucket, entry.object_key or "")
            except (BotoCoreError, ClientError, ValueError) as error:
                if is_late(error):
                    behind.add(entry)
                else:  # one that cannot be read hides none of the others
                    log_failure("result_not_read", error, name=entry.object_key)
                    refused.append(error)
                return
            if found and found[0].get("analyzedAt") == entry.analyzed_at:
                items[entry] = found[0]

        with ThreadPoolExecutor(max_workers=PARALLEL_READS) as pool:
            list(pool.map(one, entries))  # what a thread raised is raised here
        if refused and len(refused) == len(entries):
            raise refused[0]  # that is about none of them
        return Read(items=items, behind=behind)


def _start_after(place: Place) -> str:
    if place.analyzed_at is None or place.object_key is None:
        return index_start(place.day)
    name = place.object_key
    # A cursor from the days of a table holds the key itself, which may be too long for the index.
    return index_object(place.analyzed_at, name if len(name.encode()) <= _NAME_BYTES else name_of(name))


def _place(object_key: str) -> Place | None:
    found = parse_index(object_key)
    if found is None:
        return None
    analyzed_at, name = found
    return Place(day=date.fromisoformat(analyzed_at[:10]), analyzed_at=analyzed_at, object_key=name)
