"""Counting and removing everything in a versioned bucket.

A bucket can be deleted only when every version and delete marker is gone; uploads that never ended
are not objects but are billed, so they go too. What was counted is removed without listing it once more; what
has come since shows in the list after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.object_deletes import AT_ONCE, Entry, Refused, batches, delete, told
from imgpipe_cli.events import Counted, Emit
from imgpipe_cli.system.threads import Pool

# So many entries that were counted are remembered, in about 40 MB; the others are listed again.
_REMEMBERED = 100_000


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


def empty_bucket(aws: Aws, bucket: str, emit: Emit, *, step: str, resource: str) -> None:
    """Delete all versions and markers and abort open uploads, side by side. Raises AwsError.

    What S3 refuses to delete ends none of the others: it is told at the end.
    """
    with Pool(AT_ONCE + 1, thread_name_prefix="empty") as pool:
        uploads = pool.submit(_abort_uploads, aws, bucket)
        refused: list[Refused] = []
        done = 0
        for pages in (batches(aws.counted.pop(bucket, [])), _pages(aws, bucket)):
            # What was refused before is still there, and is tried once more.
            refused = []
            for size, refusals in _delete_pages(aws, bucket, pages, pool):
                refused += refusals
                done += size - len(refusals)
                emit(Counted(step, resource, done))
        refused += uploads.result()
    if refused:
        raise told(refused)


def _delete_pages(
    aws: Aws, bucket: str, pages: Iterable[Sequence[Entry]], pool: Pool
) -> Iterator[tuple[int, list[Refused]]]:
    """Delete page after page while the next ones are listed; how many entries each had, and the refusals."""
    running: deque[tuple[int, Future[list[Refused]]]] = deque()
    for entries in pages:
        running.append((len(entries), pool.submit(delete, aws, bucket, entries)))
        if len(running) >= AT_ONCE:
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


def _abort_uploads(aws: Aws, bucket: str) -> list[Refused]:
    """Abort all open uploads; what S3 refuses. Raises AwsError for what concerns all."""
    refused: list[Refused] = []
    for page in aws.pages("s3", "list_multipart_uploads", Bucket=bucket):
        for upload in page.get("Uploads", []):
            where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            try:
                aws.find("s3", "abort_multipart_upload", missing=("NoSuchUpload",), **where)
            except AwsError as error:
                if not 400 <= error.status < 500:
                    raise
                refused.append(Refused(error.code, error.message, upload["Key"], error.operation))
    return refused
