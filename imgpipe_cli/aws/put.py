"""One object on its way into a bucket, and the answer, whichever library sends it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def checksum(sha256: bytes) -> str:
    """As S3 has it in its headers, and keeps it."""
    return base64.b64encode(sha256).decode()


@dataclass(frozen=True)
class Put:
    """One object to store. sha256: of the data; S3 verifies it. only_new: S3 refuses it where the key exists.
    owner: the account that the bucket must belong to. metadata: kept with it; ASCII, at most 2 kB. path: of a
    file that held this data a moment ago."""

    bucket: str
    key: str
    data: bytes
    content_type: str
    sha256: bytes
    owner: str
    only_new: bool
    metadata: Mapping[str, str] = field(default_factory=dict)
    path: str | None = None

    @property
    def checksum(self) -> str:
        return checksum(self.sha256)


@dataclass(frozen=True)
class Stored:
    """S3 has it. etag: without quotes. version_id: None where the bucket has no versions."""

    etag: str
    version_id: str | None


Answer = Stored | Exception
"""An AwsError, unless something went wrong that nobody has thought of."""

OnAnswer = Callable[[Answer], None]
Cancel = Callable[[], object]
