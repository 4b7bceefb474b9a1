"""Which result is of which object. Standard library only: the command line loads this very file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_of(item: Mapping[str, Any], *, version_id: str | None, etag: str) -> bool:
    """Whether a result is of the object with this version and ETag, and not of one that had the key before.

    version_id: None or "null" in a bucket without versions, where the ETag decides. etag: without quotation
    marks.
    """
    if version_id in (None, "null"):
        return bool(item.get("eTag") == etag)
    return bool(item.get("versionId") == version_id)
