"""What a file is, and whether it is converted before it is sent. By its content, never by its name."""

from __future__ import annotations

import platform
import re
import sys
from importlib.util import find_spec

from imgpipe_cli.lambdas import source as functions

JPEG, PNG, HEIC = "JPEG", "PNG", "HEIC"
# Camera RAW, by the structure in which it keeps its preview.
TIFF_RAW = frozenset({"CR2", "NEF", "ARW", "DNG", "RW2", "PEF", "SRW", "3FR", "RAW"})
RAW = TIFF_RAW | {"CR3", "RAF"}
OTHERS = frozenset({HEIC, "AVIF", "WebP", "TIFF", "BMP", "GIF"})

MAX_PIXELS = 200_000_000
"""Of a picture that is converted: as many as the largest sensors of phones have. Decoded they take 800 MB."""

MAX_FILE_BYTES = 1024 * 1024 * 1024
"""Of a file that is converted. The largest RAW files have a quarter of it."""

_TOO_LARGE = ("too_large", "too_many_pixels")
# "a HEIC picture", "a camera RAW file (CR2)", as the functions name what they refuse.
_NAMED = re.compile(r"an? (?:(\w+) picture|camera (RAW) file(?: \((\w+)\))?)")
_INSTALL = "Install what converts it, in imgpipe's checkout: pipx install --force '.[{extras}]'"


def kind_of(head: bytes) -> str | None:
    """Of a picture that can be sent as it is, or converted: JPEG, HEIC, CR2 and so on; None for all else."""
    content_type = functions.picture.content_type(head)
    if content_type is not None:
        return JPEG if content_type == functions.picture.JPEG else PNG
    named = _NAMED.fullmatch(functions.picture_kinds.looks_like(head))
    kind = (named[1] or named[3] or named[2]) if named else None
    return kind if kind in RAW | OTHERS else None


def to_convert(data: bytes, refusal: functions.picture.Refusal | None) -> str | None:
    """The kind, if it is to be converted; None for what goes as it is, or cannot be converted.

    data: the file, or its first bytes. refusal: why Rekognition would not take the file as it is.
    """
    kind = kind_of(data)
    if kind not in (JPEG, PNG):
        return kind
    is_too_large = refusal is not None and refusal.code in _TOO_LARGE
    return kind if is_too_large or _is_unusual(data, kind) else None


def _is_unusual(data: bytes, kind: str) -> bool:
    """Whether it is a JPEG in CMYK, or a PNG with 16 bits a channel: AWS does not say that it reads them."""
    if kind == PNG:
        return data[24:25] == b"\x10"
    frame = functions.jpeg_parts.frame(data)
    return frame is not None and frame.components == 4


def missing(kind: str) -> str | None:
    """How to get what converts this kind; None where it is there."""
    is_there = find_spec("PIL") is not None
    if is_there and (kind != HEIC or find_spec("pi_heif") is not None):
        return None
    if is_there and sys.platform == "win32" and platform.machine() == "ARM64":
        return "For Windows on ARM there is no package that reads HEIC: export it as JPEG."
    # pipx puts the new environment in the place of the old one, with these extras only.
    return _INSTALL.format(extras="photos" if find_spec("ministack") is None else "local,photos")
