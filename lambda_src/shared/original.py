"""The file that a picture was converted from, as the metadata of the object tells.

The command line writes it and the ingest function reads it. Anybody who may upload can write such metadata:
it is checked, and decides nothing. Standard library only: the command line loads this very file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from .result_item import Original

SOURCE_SHA256 = "imgpipe-source-sha256"
"""Of the file's bytes, in hex: an unchanged file is not converted again."""

_NAME, _KIND = "imgpipe-original-name", "imgpipe-original-kind"
# Together with the hash and what they are called less than 1 kB, of the 2 kB that S3 takes.
_MAX_NAME = 800
_KINDS = re.compile(r"[A-Za-z0-9]{1,16}")


def metadata(name: str, kind: str, source_sha256: str) -> dict[str, str]:
    """In ASCII, as S3 keeps it. A name that is too long is left out."""
    written = quote(name.encode("utf-8", "replace"))
    named = {_NAME: written} if len(written) <= _MAX_NAME else {}
    return {SOURCE_SHA256: source_sha256, **named, _KIND: kind}


def original(metadata: Mapping[str, str]) -> Original | None:
    """None for a picture that was not converted."""
    kind, name = metadata.get(_KIND, ""), metadata.get(_NAME, "")
    if not _KINDS.fullmatch(kind):
        return None
    found: Original = {"kind": kind}
    if 0 < len(name) <= _MAX_NAME:
        found["name"] = unquote(name, errors="replace")
    return found
