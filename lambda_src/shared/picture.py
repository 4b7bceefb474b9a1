"""What a picture is, from its first bytes: type, width and height, and whether Rekognition would take it.

Pure functions on bytes, and nothing else is imported: the command line loads this very file, so that what it
refuses to send and what the ingest function refuses to pay for are one rule. The name and the declared
Content-Type of an object are never asked: Rekognition looks at the content only, and so do we. Width and
height are those in the file; an EXIF rotation is not applied to them.
"""

from __future__ import annotations

import codecs
import struct
from dataclasses import dataclass

MAX_BYTES = 15 * 1024 * 1024
MIN_SIDE = 80
MAX_SIDE = 10_000
"""Rekognition's limits for a picture in S3: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html"""

JPEG = "image/jpeg"
PNG = "image/png"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
# Far more than any encoder writes; each one is a step here and in most decoders.
_MAX_SEGMENTS = 10_000
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


def content_type(head: bytes) -> str | None:
    """`image/jpeg`, `image/png`, or None for everything that Rekognition does not read."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(_PNG_SIGNATURE):
        return PNG
    return None


def measure(head: bytes) -> Measure:
    """Width and height of a JPEG or PNG."""
    return _measure_png(head) if head.startswith(_PNG_SIGNATURE) else _measure_jpeg(head)


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
    """Walk from segment to segment until the one that starts a frame."""
    at = 2
    segments = filler = 0
    while at + 4 <= len(head):
        if segments > _MAX_SEGMENTS or filler > _MAX_FILLER:
            return Corrupt(reason="it has too many segments, or too much filler, before its size")
        if head[at] != 0xFF:
            return Corrupt(reason="a segment does not start with a marker")
        marker = head[at + 1]
        if marker == 0xFF:  # any number of these may fill the space before a marker
            at += 1
            filler += 1
            continue
        segments += 1
        if marker in _STANDALONE_MARKERS:
            at += 2
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return Corrupt(reason="it has no frame header")
        if marker in _FRAME_MARKERS:
            return _frame_size(head[at + 4 : at + 9])
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if length < 2:
            return Corrupt(reason="a segment has an impossible length")
        at += 2 + length
    return NeedMore()


def _frame_size(header: bytes) -> Measure:
    if len(header) < 5:
        return NeedMore()
    _precision, height, width = struct.unpack(">BHH", header)
    if not width:
        return Corrupt(reason="its header says that it has no pixels")
    return Size(width=width, height=height) if height else None


def looks_like(head: bytes) -> str:
    """What something that is neither JPEG nor PNG seems to be, for people to read."""
    if not head:
        return "an empty file"
    for start, name in _SIGNATURES:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video")
    return _text_kind(head)


_SIGNATURES = (
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
)
_BRANDS = {
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "a HEIC picture"),
}


def _text_kind(head: bytes) -> str:
    sample = head[:1024].removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in sample:
        return "an unknown format"
    try:
        # The sample's end may cut a character of several bytes; that does not make it less of a text.
        text = codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(head) <= 1024)
    except UnicodeDecodeError:
        return "an unknown format"
    lowered = text.lower()
    if "<svg" in lowered:
        return "an SVG drawing"
    if lowered.lstrip().startswith(("<!doctype html", "<html")):
        return "an HTML page"
    return "a text file" if all(c.isprintable() or c.isspace() for c in text) else "an unknown format"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A snake_case code, what is wrong with the picture, and what its owner can do about it."""

    code: str
    message: str
    hint: str


def refusal(data: bytes, *, size_bytes: int | None = None) -> Refusal | None:
    """Why Rekognition would refuse this picture, or None; so that nobody pays for a refusal.

    data: the whole picture, or its first bytes where size_bytes says that it has more.
    """
    size_bytes = len(data) if size_bytes is None else size_bytes
    if content_type(data) is None:
        return unsupported_format(data)
    if size_bytes > MAX_BYTES:
        return too_large(f"It has {size_bytes:,} bytes, over Rekognition's limit of {MAX_BYTES:,} (15 MB).")
    match measure(data):
        case Corrupt(reason=reason):
            return corrupt(reason)
        case NeedMore() if len(data) >= size_bytes:
            return corrupt("it ends within its header")
        case Size() as size:
            return _wrong_size(size)
    return None


def unsupported_format(head: bytes) -> Refusal:
    return Refusal(
        code="unsupported_format",
        message=f"It is neither JPEG nor PNG: it looks like {looks_like(head)}.",
        hint="Convert it to JPEG or PNG (renaming is not enough) and upload it again.",
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
