"""The parts of a JPEG file: its segments, its picture data, and where it ends.

As decoders do, whatever stands between segments is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

START, END = b"\xff\xd8", b"\xff\xd9"
SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# What most decoders read: baseline and progressive. The others are lossless, as in RAW files, or arithmetic.
_PICTURES = frozenset({0xC0, 0xC1, 0xC2})
MARKER = re.compile(rb"\xff[^\x00\xff]")
# Within picture data FF 00 is a byte of it, and FF D0 to FF D7 stand between its pieces.
_AFTER_DATA = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
MAX_PARTS = 10_000


class Part(NamedTuple):
    """A segment, from its marker on. data_end: of a scan, where its picture data ends; else `end`."""

    marker: int
    start: int
    end: int
    data_end: int


class Frame(NamedTuple):
    """is_picture: most decoders read it."""

    components: int
    is_picture: bool


def parts(data: bytes, *, whole: bool = True) -> Iterator[Part]:
    """In their order, without the start and the end. whole: also those between the scans of the picture.

    Ends at the end of the picture, or of the data. Raises ValueError for what no encoder writes.
    """
    at = len(START)
    for _ in range(MAX_PARTS):
        found = MARKER.search(data, at)
        if found is None or data[found.start() + 1] == EOI:
            return
        marker, at = data[found.start() + 1], found.end()
        if marker in STANDALONE:
            continue
        if marker == SOI:
            raise ValueError("a second picture begins within it")
        end = at + max(int.from_bytes(data[at : at + 2], "big"), 2)
        if end > len(data):
            return
        at = end
        if marker == SOS and whole:
            after = _AFTER_DATA.search(data, end)
            at = after.start() if after else len(data)
        yield Part(marker, found.start(), end, at)
        if marker == SOS and not whole:
            return
    raise ValueError("it has too many segments")


def frame(data: bytes) -> Frame | None:
    """What its frame header says; None where there is none."""
    try:
        for part in parts(data, whole=False):
            if part.marker in FRAMES and part.end - part.start >= 10:
                return Frame(data[part.start + 9], part.marker in _PICTURES)
    except ValueError:
        pass
    return None


def exif(data: bytes) -> bytes:
    """The TIFF structure of its EXIF block; b"" where there is none."""
    return exif_and_xmp(data)[0]


def exif_and_xmp(data: bytes) -> tuple[bytes, bytes]:
    """The first block of each; b"" where there is none."""
    found = {EXIF: b"", XMP: b""}
    try:
        for part in parts(data, whole=False):
            if part.marker == APP1:
                for name, before in found.items():
                    if not before and data.startswith(name, part.start + 4):
                        found[name] = data[part.start + 4 + len(name) : part.end]
    except ValueError:
        pass
    return found[EXIF], found[XMP]
