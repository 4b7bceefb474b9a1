"""What the bucket holds already under the keys of an upload, and whether it is the same picture."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.put import checksum
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.sending.journal import Journal
from imgpipe_cli.pictures.stored_picture import look

_PAGE = 1000
# Of an object that was sent in one part and is not encrypted with a key of KMS it is the MD5 of the bytes.
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class There:
    """The newest version of a key. sha256: in base64, as S3 keeps it; "" where it keeps none of the whole
    object, or was not asked. asked: whether S3 was asked about this one key. version_id: None where the
    bucket has no versions. source_sha256: in hex, of the file that it was converted from; "" for none, or
    where that was not asked.
    """

    size_bytes: int
    etag: str
    version_id: str | None
    sha256: str = ""
    asked: bool = False
    source_sha256: str = ""


class Listing:
    """The keys in question, a page at a time: for keys in S3's order one request for each thousand of them,
    and never more than one for each key."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket
        # The page at hand tells of all keys after `_after`, up to `_until`; None: to the bucket's end.
        self._after = ""
        self._until: str | None = ""
        self._next: dict[str, str] = {}
        self._there: dict[str, There] = {}

    def at(self, key: str) -> There | None:
        """What is there under this key; None for nothing, or a delete marker. Raises AwsError."""
        while not (self._after < key and (self._until is None or key <= self._until)):
            self._read(key)
        return self._there.get(key)

    def _read(self, key: str) -> None:
        before = key[:-1]  # of all keys that can be named, the last one that is certainly before it
        goes_on = self._until is not None and self._until < key and before <= self._until
        markers: dict[str, Any] = self._next if goes_on else {"KeyMarker": before} if before else {}
        self._after = (self._until or "") if goes_on else before
        page = self._aws.call("s3", "list_object_versions", Bucket=self._bucket, MaxKeys=_PAGE, **markers)
        latest = [one for one in page.get("Versions", []) if one["IsLatest"]]
        self._there = {one["Key"]: _there(one, one.get("Size", 0)) for one in latest}
        self._next = {}
        self._until = None
        if page.get("IsTruncated") and page.get("NextKeyMarker"):
            self._until = str(page["NextKeyMarker"])
            self._next = {"KeyMarker": self._until}
            if version := page.get("NextVersionIdMarker"):
                self._next["VersionIdMarker"] = str(version)


def asked(aws: Aws, bucket: str, key: str) -> There | None:
    """The same of one key, with its SHA-256. Raises AwsError."""
    found = look(aws, bucket, key, checksum=True)
    if found is None:
        return None
    source = str(found.get("Metadata", {}).get(functions.original.SOURCE_SHA256, ""))
    return replace(_there(found, found["ContentLength"]), asked=True, source_sha256=source)


def _there(found: Mapping[str, Any], size_bytes: int) -> There:
    version, checksum = found.get("VersionId"), str(found.get("ChecksumSHA256") or "")
    # Of an object that was sent in parts it is that of the parts' checksums, and says how many they are.
    whole = found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in checksum
    return There(
        int(size_bytes),
        str(found.get("ETag", "")).strip('"'),
        None if version == "null" else version,
        checksum if whole else "",
    )


def is_from(there: There, key: str, source_sha256: bytes, journal: Journal) -> bool | None:
    """Whether the bucket holds what was made of this very file; None where what is known does not tell."""
    if there.source_sha256 == source_sha256.hex() or journal.knows(key, source_sha256.hex(), there.etag):
        return True
    return False if there.asked else None


def is_same(there: There, key: str, data: bytes, sha256: bytes, journal: Journal) -> bool | None:
    """Whether the bucket holds these bytes already; None where what is known of it does not tell."""
    if there.size_bytes != len(data):
        return False
    if there.sha256:
        return there.sha256 == checksum(sha256)
    if _MD5.fullmatch(there.etag) and there.etag == hashlib.md5(data, usedforsecurity=False).hexdigest():
        return True
    return True if journal.knows(key, sha256.hex(), there.etag) else None
