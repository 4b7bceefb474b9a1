"""A picture's file without what does not belong to its pixels.

Decoders differ in how they take broken or hostile parts that no pixel depends on: metadata, bytes between the
parts, whatever follows the picture's end. OpenCV, as most others, steps over them. So they are taken out
here, unread, before Pillow sees the file. What the pixels depend on is left as it is, broken or not.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from imgpipe_cli.lambdas.source import picture_kinds

PNG_START = picture_kinds.PNG_SIGNATURE
JPEG_END = b"\xff\xd9"

# Each is a step here: so many are an attack.
_MAX_PARTS = 300_000

# A marker of a JPEG: no filler, no stuffing, and none of those that stand within the data of a scan.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_COMMENT = 0xFE
# No standard gives these a meaning.
_NO_MARKERS = range(0x02, 0xC0)
# Frames whose scans are complete, each by itself.
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)
# Where the number of colors stands: in a frame, and of those in a scan.
_COLORS, _SCANNED = 9, 4
_APPLICATION = range(0xE0, 0xF0)
# Of these a decoder needs the second and third to know the colors; the first says which way is up.
_NEEDED = {0xE1: (b"Exif\0\0", 6), 0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}


class TooManyParts(ValueError):
    """The file consists of ever so many small parts."""


@dataclass(frozen=True)
class Essence:
    """whole: False for a JPEG without its end; whether its data is complete is then to be found out.

    scans: how many passes over the picture a JPEG asks for. at_once: whether its only scan holds all colors,
    so that a decoder keeps a few rows instead of the whole picture.
    """

    data: bytes
    whole: bool = True
    scans: int = 0
    at_once: bool = False


def essence(data: bytes) -> Essence:
    """Of a JPEG or PNG. Raises TooManyParts."""
    if data.startswith(PNG_START):
        return Essence(b"".join([PNG_START, *_png_parts(data)]))
    parts = list(_jpeg_parts(data))
    scans = [part for part in parts if part[1] == _SCAN]
    frame = next((part for part in parts if part[1] in _SEQUENTIAL), b"")
    at_once = len(scans) == 1 and _holds_all_colors(scans[0], frame)
    return Essence(b"".join([data[:2], *parts]), parts[-1:] == [JPEG_END], len(scans), at_once)


def _png_parts(data: bytes) -> Iterator[bytes]:
    """The critical chunks up to the last, and transparency where it is sound."""
    at = len(PNG_START)
    for _ in range(_MAX_PARTS):
        if at + 12 > len(data):
            yield data[at:]
            return
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        # In capitals: critical. A chunk that is cut off is for the decoder to judge.
        if kind[:1].isupper() or end > len(data) or (kind == b"tRNS" and _is_sound(data[at:end], data)):
            yield data[at:end]
        if kind == b"IEND":
            return
        at = end
    raise TooManyParts("it consists of too many chunks")


def _is_sound(chunk: bytes, data: bytes) -> bool:
    """Whether a tRNS chunk has its checksum and the length that the picture's color type asks for."""
    length = len(chunk) - 12
    color_type = data[25]
    fits = 1 <= length <= 256 if color_type == 3 else length == {0: 2, 2: 6}.get(color_type)
    return fits and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _jpeg_parts(data: bytes) -> Iterator[bytes]:
    """From marker to marker, as libjpeg goes: tables, frame, scans with their data, the end."""
    at, frame, scanned = 2, b"", False
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None or data[found.end() - 1] == _START:  # of another picture
            return
        start, marker = found.start(), data[found.start() + 1]
        if marker == _END:
            yield JPEG_END
            return
        if scanned and marker in _NO_MARKERS:  # the end is missing, and this is something else
            return
        at = start + 2 + max(int.from_bytes(data[start + 2 : start + 4], "big"), 2)
        if marker == _SCAN:
            following = _MARKER.search(data, at)
            at, scanned = following.start() if following else len(data), True
        part = data[start:at]
        if _is_needed(marker, part[4:]):
            yield part
        if marker in _SEQUENTIAL:
            frame = frame or part
        if marker == _SCAN and _holds_all_colors(part, frame):  # nothing behind it changes a pixel
            if data.find(JPEG_END, at) >= 0:
                yield JPEG_END
            return
    raise TooManyParts("it consists of too many segments")


def _holds_all_colors(scan: bytes, frame: bytes) -> bool:
    """frame: that of a picture which is no progressive one, else empty."""
    return len(frame) > _COLORS and len(scan) > _SCANNED and scan[_SCANNED] == frame[_COLORS]


def _is_needed(marker: int, body: bytes) -> bool:
    if marker in _APPLICATION:
        name, least = _NEEDED.get(marker, (b"", 0))
        return bool(name) and body.startswith(name) and len(body) >= least
    return marker != _COMMENT
