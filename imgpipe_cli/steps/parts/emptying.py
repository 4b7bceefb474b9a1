"""Counting and removing everything in a versioned bucket.

A bucket can be deleted only when every version and delete marker is gone; uploads that never ended
are not objects but are billed, so they go too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from imgpipe_cli.aws import Aws, AwsError
from imgpipe_cli.events import Counted, Emit

_BATCH = 1000  # the most that DeleteObjects takes
# What S3 may say of a single key inside a good answer, where the SDK does not see it; how often they go.
_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})
_TRIES = 8
_FIRST_PAUSE_S = 0.1
# DeleteObjects is XML 1.0, which has no way to write these; DeleteObject has the key in the URL.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]")


def count_versions(aws: Aws, bucket: str) -> dict[str, int]:
    """How many current objects, older versions, delete markers, bytes and open uploads there are."""
    counts = {"objects": 0, "versions": 0, "markers": 0, "bytes": 0, "uploads": 0}

    def versions() -> None:
        for page in aws.pages("s3", "list_object_versions", Bucket=bucket):
            for version in page.get("Versions", []):
                counts["objects" if version["IsLatest"] else "versions"] += 1
                counts["bytes"] += version["Size"]
            counts["markers"] += len(page.get("DeleteMarkers", []))

    def uploads() -> None:
        for page in aws.pages("s3", "list_multipart_uploads", Bucket=bucket):
            counts["uploads"] += len(page.get("Uploads", []))

    aws.together({"versions": versions, "uploads": uploads})
    return counts


def empty_bucket(aws: Aws, bucket: str, emit: Emit, *, step: str, resource: str) -> None:
    """Delete all versions and markers and abort open uploads. Raises AwsError."""
    done = 0
    for page in aws.pages("s3", "list_object_versions", Bucket=bucket):
        entries = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        _delete(aws, bucket, entries)
        done += len(entries)
        if entries:
            emit(Counted(step, resource, done))
    for page in aws.pages("s3", "list_multipart_uploads", Bucket=bucket):
        for upload in page.get("Uploads", []):
            where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            aws.find("s3", "abort_multipart_upload", missing=("NoSuchUpload",), **where)


def _delete(aws: Aws, bucket: str, entries: list[dict[str, str]]) -> None:
    singly = [entry for entry in entries if _NOT_IN_XML.search(entry["Key"])]
    together = [entry for entry in entries if not _NOT_IN_XML.search(entry["Key"])]
    for batch in _batches(together):
        _delete_together(aws, bucket, batch)
    aws.together(
        {
            f"{entry['Key']} {entry['VersionId']}": partial(
                aws.call,
                "s3",
                "delete_object",
                Bucket=bucket,
                Key=entry["Key"],
                VersionId=entry["VersionId"],
            )
            for entry in singly
        }
    )


def _delete_together(aws: Aws, bucket: str, entries: list[dict[str, str]]) -> None:
    """Delete these, those again that S3 could not delete for a moment."""
    pause_s = _FIRST_PAUSE_S
    for left in range(_TRIES - 1, -1, -1):
        answer = aws.call("s3", "delete_objects", Bucket=bucket, Delete={"Objects": entries, "Quiet": True})
        errors = answer.get("Errors", [])
        _raise_first([error for error in errors if error.get("Code") not in _PASSING or not left])
        failed = {(error["Key"], error.get("VersionId")) for error in errors}
        entries = [one for one in entries if failed & {(one["Key"], one["VersionId"]), (one["Key"], None)}]
        if not entries:
            return
        aws.sleep(pause_s)
        pause_s *= 2


def _batches(entries: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _raise_first(errors: list[dict[str, Any]]) -> None:
    """Failures of single keys arrive inside a 200."""
    for error in errors:
        raise AwsError(
            error.get("Code", "Unknown"),
            f"{error.get('Message', '')} ({error.get('Key', '')!r})",
            service="s3",
            operation="delete_objects",
        )
