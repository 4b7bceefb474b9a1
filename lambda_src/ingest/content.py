"""The SHA-256 of a picture's bytes: S3's own, where it has verified one of all of them, or else made here.

An ETag is never taken for it: it is an MD5 at best, for which others can be made, and a forged picture would
have the result of another. The checksum of an object that was sent in parts is one of checksums, and S3 says
so: only what it calls FULL_OBJECT counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from ingest.reading import Head
from shared.events import Arrival

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES = 1024 * 1024


def sha256_of(s3: S3Client, arrival: Arrival, head: Head) -> str:
    """In hexadecimal. head: the first bytes of that object; where they are all, S3 is not asked again.

    Raises ClientError or BotoCoreError as S3 gives them.
    """
    if head.complete:
        return hashlib.sha256(head.data).hexdigest()
    # Without a version the object may just have been replaced.
    target: dict[str, Any] = {
        "Bucket": arrival.bucket,
        "Key": arrival.key,
        "IfMatch": f'"{head.etag}"',
        **({"VersionId": head.version_id} if head.version_id is not None else {}),
    }
    return _verified(s3, target) or _made(s3, target)


def _verified(s3: S3Client, target: dict[str, Any]) -> str | None:
    told = s3.head_object(**target, ChecksumMode="ENABLED")
    if told.get("ChecksumType") != "FULL_OBJECT":
        return None
    try:
        digest = base64.b64decode(told.get("ChecksumSHA256", ""), validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == hashlib.sha256().digest_size else None


def _made(s3: S3Client, target: dict[str, Any]) -> str:
    """At most 15 MB are read: what is larger was refused before."""
    digest = hashlib.sha256()
    for part in s3.get_object(**target)["Body"].iter_chunks(_PART_BYTES):
        digest.update(part)
    return digest.hexdigest()
