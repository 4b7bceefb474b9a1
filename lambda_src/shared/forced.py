"""The mark of a picture that was sent to be analyzed and paid again, whatever its bytes: `upload --force`.

It stands in the object's metadata. Standard library only: the command line loads this very file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_NAME = "imgpipe-force"


def metadata_of(key: str) -> dict[str, str]:
    """The mark of the picture of this key: a copy in S3 takes the metadata along, and is not meant."""
    return {_NAME: hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]}


def is_forced(key: str, metadata: Mapping[str, str]) -> bool:
    """Whether the picture of this key was sent to be paid again. metadata: as S3 gives it."""
    return metadata_of(key).items() <= metadata.items()
