"""Reading and writing results, as objects in a bucket.

Every write has a condition: If-None-Match for a new object, If-Match for the one that was read. So no order
of events can put an old result over a new one, as with the table.

The entries of the indexes are written before the result and the old ones removed after it. A stop in between
leaves an entry too many, which readers skip, and never a result that no list shows.

Needs `s3:GetObject`, `s3:PutObject` and `s3:PutObjectTagging` on `results/*`, `s3:PutObject` and
`s3:DeleteObject` on `index/*` and `fails/*`, and `s3:ListBucket`: without it "not there" reads as "denied".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.bucket_results import read_object
from shared.dynamo_types import plain
from shared.result_objects import CHANGED, entries_of, name_of, put_request
from shared.results import REVISION

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.result_item import Stored

_LOOKS = 5
"""How often is looked again when the object changes under our hands; then it is left to Lambda's retry."""


@dataclass(frozen=True, kw_only=True)
class ResultBucket:
    """The bucket of results as the ingest function uses it."""

    s3: S3Client
    bucket: str

    def read(self, key: str) -> Stored | None:
        found = read_object(self.s3, self.bucket, name_of(key))
        return found[0] if found else None

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        entries = entries_of(item)
        announced = False
        for look in range(1, _LOOKS + 1):
            found = read_object(self.s3, self.bucket, name_of(item["objectKey"]))
            stored = found[0] if found else None
            current = entries_of(stored) if stored else ()
            if _revision(stored) != _revision(seen):
                if announced:
                    self._forget(entries, current)
                return False
            if not announced:
                for entry in entries:
                    self.s3.put_object(Bucket=self.bucket, Key=entry, Body=b"")
                announced = True
            request = put_request(plain(item), found[1] if found else None)
            try:
                self.s3.put_object(Bucket=self.bucket, **request)
            except ClientError as error:
                if error.response["Error"]["Code"] not in CHANGED or look == _LOOKS:
                    raise
                continue
            self._forget(current, entries)
            return True
        raise AssertionError("unreachable")

    def _forget(self, entries: Iterable[str], current: Iterable[str]) -> None:
        """Remove entries of the indexes, but not those of the result which stands."""
        for entry in entries:
            if entry not in current:
                self.s3.delete_object(Bucket=self.bucket, Key=entry)


def _revision(item: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    return tuple(item.get(name) for name in REVISION) if item else None
