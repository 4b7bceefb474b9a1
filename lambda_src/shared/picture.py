"""What a picture is, from its first bytes: type, width and height, and whether Rekognition would take it.

Pure functions on bytes, and nothing else is imported: the command line loads this very file, so that what it
refuses to send and what the ingest function refuses to pay for are one rule. The name and the declared
Content-Type of an object are never asked: Rekognition looks at the content only, and so do we. Width and
height are those in the file; an EXIF rotation is not applied to them.
"""

from __future__ import annotations

import codecs
import re
import struct
from dataclasses import dataclass

MAX_BYTES = 15 * 1024 * 1024
MIN_SIDE = 80
MAX_SIDE = 10_000
"""Rekognition's limits for a picture in S3: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html"""

JPEG = "image/jpeg"
PNG = "image/png"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Decoders step over whatever stands before a marker: filler, stuffing, bytes that belong to no segment.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLE_MARKERS = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
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

_TOO_MUCH = Corrupt(reason="it has too many segments, or too much filler, before its size")
_ENDS: dict[int, Measure] = {
    0xD8: None,  # a preview may begin here, whose size is not that of the picture
    **dict.fromkeys((0xD9, 0xDA), Corrupt(reason="it has no frame header")),
}
"""The end of the picture, or its data, before its size."""


def content_type(head: bytes) -> str | None:
    """`image/jpeg`, `image/png`, or None for everything that Rekognition does not read."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(_PNG_SIGNATURE) and head[12:16] != _CGBI:
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
    """Go from marker to marker until the one that starts a frame."""
    at, skipped = 2, 0
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(head, at)
        skipped += (found.start() if found else len(head)) - at
        if skipped > _MAX_FILLER:
            return _TOO_MUCH
        if found is None or found.end() + 2 > len(head):
            return NeedMore()
        marker, at = head[found.start() + 1], found.end()
        if marker in _STANDALONE_MARKERS:
            continue
        if marker in _ENDS:
            return _ENDS[marker]
        if marker in _FRAME_MARKERS:
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


_CGBI = b"CgBI"
_UNKNOWN = "an unknown format"
_EMPTY = "an empty file"
_IPHONE_PNG = "a PNG optimized for iPhone apps"
_COMPANION = "the companion file of a picture that macOS writes (AppleDouble)"
_RAW = "a camera RAW file"
_VIDEO = "a video"
_SIGNATURES = (
    (b"GIF8", "a GIF picture"),
    (b"8BPS", "a Photoshop document (PSD)"),
    (b"gimp xcf", "a GIMP picture (XCF)"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"II+\x00", "a TIFF picture"),
    (b"MM\x00+", "a TIFF picture"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"%!PS", "an EPS drawing"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1a\x45\xdf\xa3", _VIDEO),
    (b"\x00\x05\x16\x07", _COMPANION),
    (b"\x00\x05\x16\x00", _COMPANION),
    (b"FUJIFILMCCD-RAW", f"{_RAW} (RAF)"),
    (b"IIU\x00", f"{_RAW} (RW2)"),
    (b"IIRO", f"{_RAW} (ORF)"),
    (b"IIRS", f"{_RAW} (ORF)"),
    (b"MMOR", f"{_RAW} (ORF)"),
    (b"FOVb", f"{_RAW} (X3F)"),
    (b"\x00MRM", f"{_RAW} (MRW)"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", f"{_RAW} (CRW)"),
)
_AVIF, _HEIC = "an AVIF picture", "a HEIC picture"
_BRANDS = {
    b"crx ": f"{_RAW} (CR3)",
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), _HEIC),
}
# Of several codecs: the brands that follow tell which one it is.
_HEIF_BRANDS = (b"mif1", b"mif2", b"msf1", b"miaf", b"MiHE", b"MiHB")
_MAKERS = (
    (b"NIKON", "NEF"),
    (b"PENTAX", "PEF"),
    (b"SONY", "ARW"),
    (b"SAMSUNG", "SRW"),
    (b"Hasselblad", "3FR"),
)
_MAKER_WITHIN = 64 * 1024
_THUMBNAIL_TAG, _COLORS_TAG, _DNG_TAG = 0x00FE, 0x0106, 0xC612
_ORDINARY_COLORS = frozenset({0, 1, 2, 3, 5, 6, 8})

_NO_PICTURES = frozenset(
    {
        *(_EMPTY, _UNKNOWN, _COMPANION, _VIDEO, "a text file", "an HTML page", "a PDF document"),
        *("a ZIP archive or an Office document", "a gzip archive"),
    }
)


def is_picture(head: bytes) -> bool:
    """Whether it is a picture at all, if perhaps of a kind that Rekognition does not read."""
    return content_type(head) is not None or looks_like(head) not in _NO_PICTURES


def looks_like(head: bytes) -> str:
    """What something that is neither JPEG nor PNG seems to be, for people to read."""
    for start, name in _SIGNATURES:
        if head.startswith(start):
            return name
    if head.startswith(_PNG_SIGNATURE):
        return _IPHONE_PNG
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return _tiff_kind(head)
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"AVI "):
        return "a WebP picture" if head[8:12] == b"WEBP" else _VIDEO
    if head[4:8] == b"ftyp":
        return _container_kind(head)
    return _VIDEO if head[4:8] in (b"moov", b"mdat", b"wide") else _text_kind(head)


def _container_kind(head: bytes) -> str:
    """By the first brand that tells something: the main one, then those that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    told = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    return told or (_HEIC if brands[0] in _HEIF_BRANDS else _VIDEO)


def _tiff_kind(head: bytes) -> str:
    """Most cameras write their RAW files as TIFF: with a thumbnail first, or in colors of their own."""
    if head[8:10] == b"CR":
        return f"{_RAW} (CR2)"
    tags = _first_directory(head)
    if _DNG_TAG in tags:
        return f"{_RAW} (DNG)"
    if tags.get(_COLORS_TAG) not in _ORDINARY_COLORS or tags.get(_THUMBNAIL_TAG):
        for maker, kind in _MAKERS:
            if maker in head[:_MAKER_WITHIN]:
                return f"{_RAW} ({kind})"
    return "a TIFF picture"


def _first_directory(head: bytes) -> dict[int, int]:
    """The tags that describe the first picture of a TIFF, each with its value if that is a number."""
    order = "<" if head.startswith(b"II") else ">"
    tags: dict[int, int] = {}
    try:
        (at,) = struct.unpack_from(f"{order}I", head, 4)
        (count,) = struct.unpack_from(f"{order}H", head, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", head, entry)
            (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", head, entry + 8)
    except struct.error:  # it stands further on than the bytes at hand reach
        pass
    return tags


def _text_kind(head: bytes) -> str:
    if not head:
        return _EMPTY
    sample = head[:1024].removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in sample:
        return "a BMP picture" if sample.startswith(b"BM") else _UNKNOWN  # texts may begin so, too
    try:
        # The sample's end may cut a character of several bytes; that does not make it less of a text.
        text = codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(head) <= 1024)
    except UnicodeDecodeError:
        return _UNKNOWN
    lowered = text.lower().lstrip()
    if lowered.startswith(("<!doctype html", "<html")):
        return "an HTML page"
    if lowered.startswith("<") and "<svg" in lowered:
        return "an SVG drawing"
    return "a text file" if all(c.isprintable() or c.isspace() for c in text) else _UNKNOWN


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
    _EMPTY: "Save or download it again: this file holds nothing.",
    _VIDEO: "Save a frame of it as JPEG or PNG and upload that.",
    _COMPANION: "Upload the picture itself: the file of the same name without ._ before it.",
    _IPHONE_PNG: "On a Mac, xcrun -sdk iphoneos pngcrush -revert-iphone-optimizations IN.png OUT.png makes "
    "an ordinary one of it.",
}


def unsupported_format(head: bytes) -> Refusal:
    kind = looks_like(head)
    neither = f"It is neither JPEG nor PNG: it looks like {kind}."
    raw = "Export it as JPEG from a photo program and upload that."
    return Refusal(
        code="unsupported_format",
        message=f"It is {kind}, which Rekognition does not read." if kind == _IPHONE_PNG else neither,
        hint=raw if kind.startswith(_RAW) else _HINTS.get(kind, _CONVERT),
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
