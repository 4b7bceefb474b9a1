"""Deleting many objects of a bucket, or versions of them, side by side; what S3 refuses ends no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError

AT_ONCE = 4
"""So many pages are deleted at once: S3 takes some thousand changes a second and says SlowDown to more."""

_BATCH = 1000  # the most that DeleteObjects takes
# What S3 may say of a single key inside a good answer, where the SDK does not see it; how often they go.
_TRANSIENT = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})
_TRIES = 8
_FIRST_PAUSE_S = 0.1
# So many keys that S3 refuses to delete are named.
_NAMED = 3
# DeleteObjects is XML 1.0, which has no way to write these; DeleteObject has the key in the URL.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]")

Entry = dict[str, str]
"""Key, and the VersionId of a version or delete marker. Without it S3 puts a delete marker on the object."""


class Refused(AwsError):
    """What S3 said about one key."""

    def __init__(self, code: str, message: str, key: str, operation: str) -> None:
        super().__init__(code, message, service="s3", operation=operation)
        self.key = key


def delete(aws: Aws, bucket: str, entries: Sequence[Entry]) -> list[Refused]:
    """Delete these; the refusals of single ones. Raises AwsError for what concerns all."""
    singly = [entry for entry in entries if _NOT_IN_XML.search(entry["Key"])]
    together = [entry for entry in entries if not _NOT_IN_XML.search(entry["Key"])]
    refused = [error for batch in batches(together) for error in _delete_together(aws, bucket, batch)]
    alone = {str(place): partial(_delete_alone, aws, bucket, entry) for place, entry in enumerate(singly)}
    return refused + [error for error in aws.together(alone).values() if error is not None]


def told(refused: Sequence[Refused]) -> AwsError:
    """One error for all that was refused: in the words of the first, with the keys that they are about."""
    first = refused[0]
    keys = list(dict.fromkeys(error.key for error in refused))
    more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
    named = ", ".join(repr(key) for key in keys[:_NAMED])
    return AwsError(first.code, f"{first.message} ({named}{more})", service="s3", operation=first.operation)


def _delete_alone(aws: Aws, bucket: str, entry: Entry) -> Refused | None:
    where: dict[str, Any] = {"Bucket": bucket, **entry}
    try:
        aws.call("s3", "delete_object", **where)
    except AwsError as error:
        if not 400 <= error.status < 500:
            raise
        return Refused(error.code, error.message, entry["Key"], "delete_object")
    return None


def _delete_together(aws: Aws, bucket: str, entries: Sequence[Entry]) -> list[Refused]:
    """Delete these, those again that S3 could not delete for a moment; the refusals of the others."""
    pause_s = _FIRST_PAUSE_S
    refused: list[Refused] = []
    for left in range(_TRIES - 1, -1, -1):
        answer = aws.call("s3", "delete_objects", Bucket=bucket, Delete={"Objects": entries, "Quiet": True})
        # Failures of single keys arrive inside a 200.
        errors = answer.get("Errors", [])
        transient = [error for error in errors if error.get("Code") in _TRANSIENT and left]
        refused += [
            Refused(error.get("Code", "Unknown"), error.get("Message", ""), error["Key"], "delete_objects")
            for error in errors
            if error not in transient
        ]
        failed = {(error["Key"], error.get("VersionId")) for error in transient}
        entries = [
            one for one in entries if failed & {(one["Key"], one.get("VersionId")), (one["Key"], None)}
        ]
        if not entries:
            break
        aws.sleep(pause_s)
        pause_s *= 2
    return refused


def batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """As many at a time as one request takes."""
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]
