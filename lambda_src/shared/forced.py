"""The mark of a picture that was sent to be analyzed and paid again, whatever its bytes: `upload --force`.

It stands in the object's metadata. Standard library only: the command line loads this very file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

METADATA = "imgpipe-force"


def mark_of(key: str) -> str:
    """The value for a picture of this key: a copy in S3 takes the metadata along, and is not meant."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_forced(key: str, metadata: Mapping[str, str]) -> bool:
    """Whether the picture of this key was sent to be paid again. metadata: as S3 gives it."""
    return metadata.get(METADATA) == mark_of(key)
