"""Reading as much of an object as its type and size need: one ranged GetObject, seldom two.

It reads exactly the version that the event names, so an overwrite in between changes nothing. For a record
made by hand it reads what is current, which tells whether that is still the version that was meant.

"Not found" alone proves nothing: for a while S3 may answer it for what is there. The list of versions
decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.faults import NOT_FOUND_CODES, Gone, NotShown
from shared.aws_clients import aws_code
from shared.events import Arrival, Removal, is_folder
from shared.picture import Measure, NeedMore, content_type, measure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEAD_BYTES = 64 * 1024
"""Enough for nearly every camera's EXIF block with its thumbnail."""

FAR_BYTES = 2 * 1024 * 1024
"""How far the size of a JPEG is searched for behind very large metadata. Past that, Rekognition decides."""

SHOWN_WITHIN = timedelta(minutes=15)
"""After a bucket's versioning was first enabled, S3 may take so long to show a new object."""

_LISTED = 100
"""So many versions of a key are looked through; the newest come first."""


_LOCKED = "400"
"""HeadObject of an object that opens to its sender's own key only; the answer has no body to say more."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The first bytes of an object, and what S3 says about all of it. metadata: the user's own."""

    data: bytes
    size_bytes: int
    etag: str
    version_id: str | None
    measured: Measure
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.data) >= self.size_bytes


def read_current(s3: S3Client, event: Arrival | Removal) -> Arrival | None:
    """What the key holds now, as if it had come with this event; None for nothing, a marker, or a folder.

    Of an object that opens to its sender's own key only (SSE-C) the list of versions tells, as of one that S3
    does not show yet. Raises ClientError or BotoCoreError as S3 gives them.
    """
    found: Mapping[str, Any]
    try:
        found = s3.head_object(Bucket=event.bucket, Key=event.key)
    except ClientError as error:
        if aws_code(error) not in (*NOT_FOUND_CODES, _LOCKED):
            raise
        on_top, _below = _versions(s3, event)
        if on_top is None or "Size" not in on_top:
            return None
        found = {**on_top, "ContentLength": on_top["Size"]}
    if is_folder(event.key, found["ContentLength"]):
        return None
    return Arrival(
        bucket=event.bucket,
        key=event.key,
        version_id=found.get("VersionId"),
        etag=found["ETag"].strip('"'),
        sequencer=event.sequencer,
        size_bytes=found["ContentLength"],
        at=found["LastModified"],
    )


def _versions(s3: S3Client, event: Arrival | Removal) -> tuple[Mapping[str, Any] | None, set[str]]:
    """What a listing shows on top of the key, a version or a delete marker, and the versions below that.

    Raises ClientError or BotoCoreError as S3 gives them.
    """
    try:
        found = s3.list_object_versions(Bucket=event.bucket, Prefix=event.key, MaxKeys=_LISTED)
    except ClientError as error:
        if aws_code(error) not in NOT_FOUND_CODES:
            raise
        return None, set()
    entries: list[Mapping[str, Any]] = [
        entry
        for entry in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))
        if entry["Key"] == event.key  # others only begin like it
    ]
    on_top = next((entry for entry in entries if entry["IsLatest"]), None)
    return on_top, {entry["VersionId"] for entry in entries if not entry["IsLatest"]}


def is_gone(s3: S3Client, arrival: Arrival, now: datetime) -> bool:
    """Whether an object that S3 does not find is proved to be gone, by what is newer or by its own age.

    Raises ClientError or BotoCoreError as S3 gives them.
    """
    on_top, below = _versions(s3, arrival)
    late = arrival.at is None or now - arrival.at >= SHOWN_WITHIN
    if on_top is None:  # a bucket without versions shows what is there at once
        return late or arrival.version_id is None
    is_marker = "Size" not in on_top
    if not is_marker and on_top["VersionId"] == (arrival.version_id or on_top["VersionId"]):
        return False  # there it is
    newer = arrival.version_id in below or arrival.at is None or on_top["LastModified"] > arrival.at
    return newer or late


def read_head(s3: S3Client, arrival: Arrival, now: datetime) -> Head:
    """Raises Gone and NotShown for "not found", else ClientError or BotoCoreError as S3 gives them."""
    try:
        return _read_head(s3, arrival)
    except ClientError as error:
        if aws_code(error) not in NOT_FOUND_CODES:
            raise
        raise (Gone if is_gone(s3, arrival, now) else NotShown)(str(error)) from error


def _read_head(s3: S3Client, arrival: Arrival) -> Head:
    target: dict[str, Any] = {"Bucket": arrival.bucket, "Key": arrival.key}
    if arrival.version_id is not None and not arrival.by_hand:
        target["VersionId"] = arrival.version_id
    head = _first(s3, target, arrival)
    if not isinstance(head.measured, NeedMore) or head.complete:
        return head
    return _further(s3, target, head)


def _first(s3: S3Client, target: dict[str, Any], arrival: Arrival) -> Head:
    try:
        answer = s3.get_object(**target, Range=f"bytes=0-{HEAD_BYTES - 1}")
    except ClientError as error:
        # No range fits into an object without bytes: 416 "The requested range is not satisfiable".
        if error.response["Error"]["Code"] not in ("InvalidRange", "416"):
            raise
        return Head(data=b"", size_bytes=0, etag=arrival.etag, version_id=arrival.version_id, measured=None)
    data = answer["Body"].read()
    return Head(
        data=data,
        size_bytes=_total(answer.get("ContentRange"), answer["ContentLength"]),
        etag=answer["ETag"].strip('"'),
        version_id=answer.get("VersionId", arrival.version_id),
        measured=measure(data) if content_type(data) else None,
        metadata=answer.get("Metadata", {}),
    )


def _further(s3: S3Client, target: dict[str, Any], head: Head) -> Head:
    # Without a version the object may just have been replaced; two halves of different pictures measure
    # nothing.
    answer = s3.get_object(
        **target, Range=f"bytes={len(head.data)}-{FAR_BYTES - 1}", IfMatch=f'"{head.etag}"'
    )
    data = head.data + answer["Body"].read()
    return replace(head, data=data, measured=measure(data))


def _total(content_range: str | None, content_length: int) -> int:
    """The whole object's size, from a text such as `bytes 0-65535/123456`.

    An endpoint that ignores Range sends the whole object, without such a text.
    """
    match = re.fullmatch(r"bytes \d+-\d+/(\d+)", content_range or "")
    return int(match[1]) if match else content_length
