"""Reading results from the bucket of results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shared.result_objects import load, name_of, result_object
from shared.results import key_possible, shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.result_item import ResultItem, Stored

_NOT_THERE = frozenset({"NoSuchKey", "404"})


def read_object(s3: S3Client, bucket: str, name: str) -> tuple[Stored, str] | None:
    """The stored item of that name with its internal attributes, and the object's ETag; None without one.

    S3 says "not there" only to a role that may list the bucket.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=result_object(name))
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    return load(answer["Body"].read()), answer["ETag"]


@dataclass(frozen=True, kw_only=True)
class BucketResults:
    """Needs `s3:GetObject` on `results/*` and `s3:ListBucket`. S3 shows every write at once."""

    s3: S3Client
    bucket: str

    def get(self, key: str) -> ResultItem | None:
        """The result of one picture, or None."""
        found = read_object(self.s3, self.bucket, name_of(key)) if key_possible(key) else None
        # The key inside is the one that counts, whatever the object's name says.
        return shown(found[0]) if found and found[0]["objectKey"] == key else None
