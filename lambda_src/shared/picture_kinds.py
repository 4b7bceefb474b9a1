"""The name of a file that is neither JPEG nor PNG, by its first bytes, for people to read.

Pure, and standard library only: `picture.py` beside it decides with these names how a picture is refused.
"""

from __future__ import annotations

import codecs

from .tiff_tags import first_directory, number

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

UNKNOWN = "an unknown format"
EMPTY = "an empty file"
IPHONE_PNG = "a PNG optimized for iPhone apps"
COMPANION = "the companion file of a picture that macOS writes (AppleDouble)"
RAW = "a camera RAW file"
VIDEO = "a video"
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
    (b"\x1a\x45\xdf\xa3", VIDEO),
    (b"\x00\x05\x16\x07", COMPANION),
    (b"\x00\x05\x16\x00", COMPANION),
    (b"FUJIFILMCCD-RAW", f"{RAW} (RAF)"),
    (b"IIU\x00", f"{RAW} (RW2)"),
    (b"IIRO", f"{RAW} (ORF)"),
    (b"IIRS", f"{RAW} (ORF)"),
    (b"MMOR", f"{RAW} (ORF)"),
    (b"FOVb", f"{RAW} (X3F)"),
    (b"\x00MRM", f"{RAW} (MRW)"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", f"{RAW} (CRW)"),
)
_AVIF, _HEIC = "an AVIF picture", "a HEIC picture"
_BRANDS = {
    b"crx ": f"{RAW} (CR3)",
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
_NOT_TOLD = -1
_ORDINARY_COLORS = frozenset({0, 1, 2, 3, 5, 6, 8})
# A color filter array, and linear raw: as a sensor gives them, whoever made it.
_SENSOR_COLORS = frozenset({32803, 34892})

NO_PICTURES = frozenset(
    {
        *(EMPTY, UNKNOWN, COMPANION, VIDEO, "a text file", "an HTML page", "a PDF document"),
        *("a ZIP archive or an Office document", "a gzip archive"),
    }
)
"""All that are no pictures at all."""


def looks_like(head: bytes) -> str:
    """What something that is neither JPEG nor PNG seems to be, for people to read."""
    for start, name in _SIGNATURES:
        if head.startswith(start):
            return name
    if head.startswith(PNG_SIGNATURE):
        return IPHONE_PNG
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return _tiff_kind(head)
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"AVI "):
        return "a WebP picture" if head[8:12] == b"WEBP" else VIDEO
    if head[4:8] == b"ftyp":
        return _container_kind(head)
    return VIDEO if head[4:8] in (b"moov", b"mdat", b"wide") else _text_kind(head)


def _container_kind(head: bytes) -> str:
    """By the first brand that tells something: the main one, then those that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    told = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    return told or (_HEIC if brands[0] in _HEIF_BRANDS else VIDEO)


def _tiff_kind(head: bytes) -> str:
    """Most cameras write their RAW files as TIFF: with a thumbnail first, or in colors of their own."""
    if head[8:10] == b"CR":
        return f"{RAW} (CR2)"
    tags = first_directory(head)
    if _DNG_TAG in tags:
        return f"{RAW} (DNG)"
    colors = number(tags, _COLORS_TAG, _NOT_TOLD)
    if colors not in _ORDINARY_COLORS or number(tags, _THUMBNAIL_TAG):
        for maker, kind in _MAKERS:
            if maker in head[:_MAKER_WITHIN]:
                return f"{RAW} ({kind})"
    return RAW if colors in _SENSOR_COLORS else "a TIFF picture"


def _text_kind(head: bytes) -> str:
    if not head:
        return EMPTY
    sample = head[:1024].removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in sample:
        return "a BMP picture" if sample.startswith(b"BM") else UNKNOWN  # texts may begin so, too
    try:
        # The sample's end may cut a character of several bytes; that does not make it less of a text.
        text = codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(head) <= 1024)
    except UnicodeDecodeError:
        return UNKNOWN
    lowered = text.lower().lstrip()
    if lowered.startswith(("<!doctype html", "<html")):
        return "an HTML page"
    if lowered.startswith("<") and "<svg" in lowered:
        return "an SVG drawing"
    return "a text file" if all(c.isprintable() or c.isspace() for c in text) else UNKNOWN
