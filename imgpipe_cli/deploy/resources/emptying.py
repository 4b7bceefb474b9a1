"""Counting and removing everything in a versioned bucket.

A bucket can be deleted only when every version and delete marker is gone; uploads that never ended
are not objects but are billed, so they go too. What was counted is removed without listing it once more; what
has come since shows in the list after it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.events import Counted, Emit
from imgpipe_cli.system.threads import Pool

# A version or a delete marker, as DeleteObjects names it: Key and VersionId.
Entry = dict[str, str]

_BATCH = 1000  # the most that DeleteObjects takes
# So many pages are deleted at once: S3 takes some thousand changes a second and says SlowDown to more.
_AT_ONCE = 4
# What S3 may say of a single key inside a good answer, where the SDK does not see it; how often they go.
_TRANSIENT = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})
_TRIES = 8
# So many entries that were counted are remembered, in about 40 MB; the others are listed again.
_REMEMBERED = 100_000
# So many keys that S3 refuses to delete are named.
_NAMED = 3
_FIRST_PAUSE_S = 0.1
# DeleteObjects is XML 1.0, which has no way to write these; DeleteObject has the key in the URL.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]")


def count_versions(aws: Aws, bucket: str) -> dict[str, int]:
    """How many current objects, older versions, delete markers, bytes and open uploads there are.

    `empty_bucket` in the same run begins with what was seen here.
    """
    counts = {"objects": 0, "versions": 0, "markers": 0, "bytes": 0, "uploads": 0}
    seen: list[Entry] = []

    def versions() -> None:
        for page in aws.pages("s3", "list_object_versions", Bucket=bucket):
            for version in page.get("Versions", []):
                counts["objects" if version["IsLatest"] else "versions"] += 1
                counts["bytes"] += version["Size"]
            counts["markers"] += len(page.get("DeleteMarkers", []))
            if len(seen) < _REMEMBERED:
                seen.extend(_entries(page))

    def uploads() -> None:
        for page in aws.pages("s3", "list_multipart_uploads", Bucket=bucket):
            counts["uploads"] += len(page.get("Uploads", []))

    aws.together({"versions": versions, "uploads": uploads})
    aws.counted[bucket] = seen
    return counts


class _Refused(AwsError):
    """What S3 said about one key."""

    def __init__(self, code: str, message: str, key: str, operation: str) -> None:
        super().__init__(code, message, service="s3", operation=operation)
        self.key = key


def empty_bucket(aws: Aws, bucket: str, emit: Emit, *, step: str, resource: str) -> None:
    """Delete all versions and markers and abort open uploads, side by side. Raises AwsError.

    What S3 refuses to delete ends none of the others: it is told at the end.
    """
    with Pool(_AT_ONCE + 1, thread_name_prefix="empty") as pool:
        uploads = pool.submit(_abort_uploads, aws, bucket)
        refused: list[_Refused] = []
        done = 0
        for pages in (_batches(aws.counted.pop(bucket, [])), _pages(aws, bucket)):
            # What was refused before is still there, and is tried once more.
            refused = []
            for size, refusals in _delete_pages(aws, bucket, pages, pool):
                refused += refusals
                done += size - len(refusals)
                emit(Counted(step, resource, done))
        refused += uploads.result()
    if refused:
        raise _told(refused)


def _delete_pages(
    aws: Aws, bucket: str, pages: Iterable[list[Entry]], pool: Pool
) -> Iterator[tuple[int, list[_Refused]]]:
    """Delete page after page while the next ones are listed; how many entries each had, and the refusals."""
    running: deque[tuple[int, Future[list[_Refused]]]] = deque()
    for entries in pages:
        running.append((len(entries), pool.submit(_delete, aws, bucket, entries)))
        if len(running) >= _AT_ONCE:
            size, deleted = running.popleft()
            yield size, deleted.result()
    for size, deleted in running:
        yield size, deleted.result()


def _pages(aws: Aws, bucket: str) -> Iterator[list[Entry]]:
    """All versions and markers by pages, each once the next one is listed: the listing goes on behind the
    last version of a page, which some endpoints must still find."""
    before: list[Entry] = []
    for page in aws.pages("s3", "list_object_versions", Bucket=bucket):
        if before:
            yield before
        before = _entries(page)
    if before:
        yield before


def _entries(page: Mapping[str, Any]) -> list[Entry]:
    return [
        {"Key": entry["Key"], "VersionId": entry["VersionId"]}
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    ]


def _abort_uploads(aws: Aws, bucket: str) -> list[_Refused]:
    """Abort all open uploads; what S3 refuses. Raises AwsError for what concerns all."""
    refused: list[_Refused] = []
    for page in aws.pages("s3", "list_multipart_uploads", Bucket=bucket):
        for upload in page.get("Uploads", []):
            where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            try:
                aws.find("s3", "abort_multipart_upload", missing=("NoSuchUpload",), **where)
            except AwsError as error:
                if not 400 <= error.status < 500:
                    raise
                refused.append(_Refused(error.code, error.message, upload["Key"], error.operation))
    return refused


def _delete(aws: Aws, bucket: str, entries: list[Entry]) -> list[_Refused]:
    """Delete these; the refusals of single ones. Raises AwsError for what concerns all."""
    singly = [entry for entry in entries if _NOT_IN_XML.search(entry["Key"])]
    together = [entry for entry in entries if not _NOT_IN_XML.search(entry["Key"])]
    refused = [error for batch in _batches(together) for error in _delete_together(aws, bucket, batch)]
    alone = {
        f"{entry['Key']} {entry['VersionId']}": partial(_delete_alone, aws, bucket, entry) for entry in singly
    }
    return refused + [error for error in aws.together(alone).values() if error is not None]


def _delete_alone(aws: Aws, bucket: str, entry: Entry) -> _Refused | None:
    try:
        aws.call("s3", "delete_object", Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
    except AwsError as error:
        if not 400 <= error.status < 500:
            raise
        return _Refused(error.code, error.message, entry["Key"], "delete_object")
    return None


def _delete_together(aws: Aws, bucket: str, entries: list[Entry]) -> list[_Refused]:
    """Delete these, those again that S3 could not delete for a moment; the refusals of the others."""
    pause_s = _FIRST_PAUSE_S
    refused: list[_Refused] = []
    for left in range(_TRIES - 1, -1, -1):
        answer = aws.call("s3", "delete_objects", Bucket=bucket, Delete={"Objects": entries, "Quiet": True})
        # Failures of single keys arrive inside a 200.
        errors = answer.get("Errors", [])
        transient = [error for error in errors if error.get("Code") in _TRANSIENT and left]
        refused += [
            _Refused(error.get("Code", "Unknown"), error.get("Message", ""), error["Key"], "delete_objects")
            for error in errors
            if error not in transient
        ]
        failed = {(error["Key"], error.get("VersionId")) for error in transient}
        entries = [one for one in entries if failed & {(one["Key"], one["VersionId"]), (one["Key"], None)}]
        if not entries:
            break
        aws.sleep(pause_s)
        pause_s *= 2
    return refused


def _batches(entries: list[Entry]) -> Iterator[list[Entry]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _told(refused: list[_Refused]) -> AwsError:
    """One error for all that was refused: in the words of the first, with the keys that they are about."""
    first = refused[0]
    keys = list(dict.fromkeys(error.key for error in refused))
    more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
    named = ", ".join(repr(key) for key in keys[:_NAMED])
    return AwsError(first.code, f"{first.message} ({named}{more})", service="s3", operation=first.operation)
