"""What a picture is, from its first bytes: type, width and height, and whether Rekognition would take it.

Pure functions on bytes, standard library only: the command line loads this very file, so that what it
refuses to send and what the ingest function refuses to pay for are one rule. The name and the declared
Content-Type of an object are never asked: Rekognition looks at the content only, and so do we. Width and
height are those in the file; an EXIF rotation is not applied to them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .jpeg_parts import FRAMES, MARKER, MAX_PARTS, STANDALONE
from .picture_kinds import COMPANION, EMPTY, IPHONE_PNG, NO_PICTURES, PNG_SIGNATURE, RAW, VIDEO, looks_like

MAX_BYTES = 15 * 1024 * 1024
MIN_SIDE = 80
MAX_SIDE = 10_000
"""Rekognition's limits for a picture in S3: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html"""

JPEG = "image/jpeg"
PNG = "image/png"

_JPEG_START = b"\xff\xd8"
_CGBI = b"CgBI"
_TABLE_MARKERS = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
_MAX_FILLER = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class NeedMore:
    """The size stands further on than the bytes at hand reach."""


@dataclass(frozen=True, kw_only=True)
class Corrupt:
    """The bytes break the format's own rules."""

    reason: str


Measure = Size | NeedMore | Corrupt | None
"""None is a valid file whose header does not tell its size: JPEG lets the height follow the first scan."""

_TOO_MUCH = Corrupt(reason="it has too many segments, or too much filler, before its size")
_ENDS: dict[int, Measure] = {
    0xD8: None,  # a preview may begin here, whose size is not that of the picture
    **dict.fromkeys((0xD9, 0xDA), Corrupt(reason="it has no frame header")),
}
"""The end of the picture, or its data, before its size."""


def content_type(head: bytes) -> str | None:
    """`image/jpeg`, `image/png`, or None for everything that Rekognition does not read."""
    # Decoders search the first segment as they search the others: a stray byte may stand before it.
    if head.startswith(_JPEG_START):
        return JPEG
    if head.startswith(PNG_SIGNATURE) and head[12:16] != _CGBI:
        return PNG
    return None


def measure(head: bytes) -> Measure:
    """Width and height of a JPEG or PNG."""
    return _measure_png(head) if head.startswith(PNG_SIGNATURE) else _measure_jpeg(head)


def _measure_png(head: bytes) -> Measure:
    if len(head) < 24:
        return NeedMore()
    if head[12:16] != b"IHDR":
        return Corrupt(reason="its first chunk is not IHDR")
    width, height = struct.unpack(">II", head[16:24])
    if not (width and height):
        return Corrupt(reason="its header says that it has no pixels")
    return Size(width=width, height=height)


def _measure_jpeg(head: bytes) -> Measure:
    """Go from marker to marker until the one that starts a frame."""
    at, skipped = 2, 0
    for _ in range(MAX_PARTS):
        found = MARKER.search(head, at)
        skipped += (found.start() if found else len(head)) - at
        if skipped > _MAX_FILLER:
            return _TOO_MUCH
        if found is None or found.end() + 2 > len(head):
            return NeedMore()
        marker, at = head[found.start() + 1], found.end()
        if marker in STANDALONE:
            continue
        if marker in _ENDS:
            return _ENDS[marker]
        if marker in FRAMES:
            return _frame_size(head[at + 2 : at + 7])
        length = int.from_bytes(head[at : at + 2], "big")
        if length < 2 and marker in _TABLE_MARKERS:
            return Corrupt(reason="a segment has an impossible length")
        at += max(length, 2)
    return _TOO_MUCH


def _frame_size(header: bytes) -> Measure:
    if len(header) < 5:
        return NeedMore()
    _precision, height, width = struct.unpack(">BHH", header)
    if not width:
        return Corrupt(reason="its header says that it has no pixels")
    return Size(width=width, height=height) if height else None


def is_picture(head: bytes) -> bool:
    """Whether it is a picture at all, if perhaps of a kind that Rekognition does not read."""
    return content_type(head) is not None or looks_like(head) not in NO_PICTURES


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A snake_case code, what is wrong with the picture, and what its owner can do about it."""

    code: str
    message: str
    hint: str


def refusal(data: bytes, *, size_bytes: int | None = None, cut: bool = False) -> Refusal | None:
    """Why Rekognition would refuse this picture, or None; so that nobody pays for a refusal.

    data: the whole picture, or its first bytes where size_bytes says that it has more. cut: even more.
    """
    size_bytes = len(data) if size_bytes is None else size_bytes
    if content_type(data) is None:
        return unsupported_format(data)
    if size_bytes > MAX_BYTES:
        told = f"more than {_exact(MAX_BYTES)}" if cut else _exact(size_bytes)
        return too_large(f"It has {told}; Rekognition takes at most {_exact(MAX_BYTES)}.")
    match measure(data):
        case Corrupt(reason=reason):
            return corrupt(reason)
        case NeedMore() if len(data) >= size_bytes:
            return corrupt("it ends within its header")
        case Size() as size:
            return _wrong_size(size)
    return None


def size_text(size_bytes: float) -> str:
    """1536 -> "1.5 KB": how every size is written that people read.

    Steps of 1,024, as AWS means them: Rekognition's "15 MB" are 15,728,640 bytes. `ls -h` and Windows
    Explorer count so too; Finder counts by 1,000, and its figures in MB are 5 % higher.
    """
    for unit in ("B", "KB", "MB", "GB"):
        shown = f"{size_bytes:.{0 if unit == 'B' else 1}f}".removesuffix(".0")
        if float(shown) < 1024:
            break
        size_bytes /= 1024
    return f"{shown} {unit}"


def _exact(size_bytes: int) -> str:
    """Just over the limit both would read the same, and Finder shows another figure."""
    return f"{size_text(size_bytes)} ({size_bytes:,} bytes)"


_CONVERT = "Convert it to JPEG or PNG (renaming is not enough) and upload it again."
_HINTS = {
    EMPTY: "Save or download it again: this file holds nothing.",
    VIDEO: "Save a frame of it as JPEG or PNG and upload that.",
    COMPANION: "Upload the picture itself: the file of the same name without ._ before it.",
    IPHONE_PNG: "On a Mac, xcrun -sdk iphoneos pngcrush -revert-iphone-optimizations IN.png OUT.png makes "
    "an ordinary one of it.",
}


def unsupported_format(head: bytes) -> Refusal:
    kind = looks_like(head)
    neither = f"It is neither JPEG nor PNG: it looks like {kind}."
    raw = "Export it as JPEG from a photo program and upload that."
    return Refusal(
        code="unsupported_format",
        message=f"It is {kind}, which Rekognition does not read." if kind == IPHONE_PNG else neither,
        hint=raw if kind.startswith(RAW) else _HINTS.get(kind, _CONVERT),
    )


def corrupt(reason: str) -> Refusal:
    return Refusal(
        code="corrupt",
        message=f"The file is damaged: {reason}.",
        hint="Open it, save it again as JPEG or PNG, and upload that.",
    )


def too_large(message: str) -> Refusal:
    return Refusal(
        code="too_large",
        message=message,
        hint="Save it smaller or with a lower quality and upload it again.",
    )


def _wrong_size(found: Size) -> Refusal | None:
    size = f"{found.width} x {found.height} pixels"
    if min(found.width, found.height) < MIN_SIDE:
        return Refusal(
            code="too_small",
            message=f"It has {size}; both sides need at least {MIN_SIDE}.",
            hint="Upload a larger version of it.",
        )
    if max(found.width, found.height) > MAX_SIDE:
        return Refusal(
            code="too_many_pixels",
            message=f"It has {size}; no side may have more than {MAX_SIDE:,}.",
            hint="Scale it down and upload it again.",
        )
    return None
