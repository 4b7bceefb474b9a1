"""The JPEG that a camera puts into its RAW file beside the sensor's data, mostly in full size.

It is found by the file's own structure: directories of a TIFF, boxes of an MP4 (CR3), a header (RAF). Nothing
is developed. Every place and length is a stranger's, so each is checked before it is read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imgpipe_cli.lambdas.source import jpeg_parts, orientation, tiff_tags

MAX_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_MAX_CANDIDATES = 32
_STRIPS, _STRIP_BYTES = 0x0111, 0x0117
_JPEG_AT, _JPEG_BYTES = 0x0201, 0x0202
_PANASONIC_JPEG = 0x002E
_RAF_JPEG_AT = 84
# The boxes of a CR3 file that hold others, and how many bytes stand before those.
_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_CANON_PREVIEW = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
_HOLDERS = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
_UUIDS = {_CANON: 16, _CANON_PREVIEW: 24}
_MAX_BOXES = 512


class NoPreview(Exception):
    """There is none that can be read."""


@dataclass(frozen=True)
class Preview:
    """orientation: as the RAW file says; None where only the JPEG itself can."""

    jpeg: bytes
    orientation: int | None


Place = tuple[int, int]
"""Where it begins, and how many bytes it has."""


def preview(file: BinaryIO, kind: str) -> Preview:
    """The largest JPEG in a RAW file. Raises NoPreview."""
    size = file.seek(0, os.SEEK_END)
    try:
        places, turned = _found(file, kind, size)
    except (ValueError, struct.error) as error:
        raise NoPreview(str(error)) from error
    for at, length in sorted(set(places), key=lambda place: -place[1])[:_MAX_CANDIDATES]:
        if at <= 0 or length > MAX_BYTES or at + length > size:
            continue
        head = _read(file, at, min(length, _HEAD_BYTES))
        frame = jpeg_parts.frame(head) if head.startswith(jpeg_parts.START) else None
        # The sensor's own data may be a JPEG too, a lossless one.
        if frame is not None and frame.is_picture:
            return Preview(_read(file, at, length), turned)
    raise NoPreview("it holds none")


def _found(file: BinaryIO, kind: str, size: int) -> tuple[list[Place], int | None]:
    if kind == "RAF":
        return [struct.unpack(">II", _read(file, _RAF_JPEG_AT, 8))], None
    return _in_boxes(file, size) if kind == "CR3" else _in_directories(file)


def _in_directories(file: BinaryIO) -> tuple[list[Place], int | None]:
    places: list[Place] = []
    turned = None
    for tags in tiff_tags.Tiff(file).directories():
        turned = orientation.of_tags(tags) if turned is None else turned
        for at, length in ((_JPEG_AT, _JPEG_BYTES), (_STRIPS, _STRIP_BYTES)):
            # A JPEG in several strips is no whole one.
            if len(tags.get(at, ())) == len(tags.get(length, ())) == 1:
                places.append((tags[at][0], tags[length][0]))
        if len(whole := tags.get(_PANASONIC_JPEG, ())) == 2:
            places.append((whole[0], whole[1]))
    return places, turned


@dataclass
class _Boxes:
    """The tables of a CR3's tracks: where their samples begin, and how long those are."""

    starts: list[int]
    sizes: list[int]
    places: list[Place]
    orientation: int | None = None


def _in_boxes(file: BinaryIO, size: int) -> tuple[list[Place], int | None]:
    found = _Boxes([], [], [])
    for name, at, end in _boxes(file, 0, size):
        if name == b"CMT1":
            found.orientation = orientation.of_tags(next(tiff_tags.Tiff(file, at).directories(), {}))
        elif name == b"co64" and end - at >= 16:
            found.starts.append(struct.unpack(">Q", _read(file, at + 8, 8))[0])
        elif name == b"stsz" and end - at >= 12:
            found.sizes.append(_sample_size(_read(file, at + 4, 12)))
        elif name == b"PRVW" and end - at > 16:
            found.places.append((at + 16, struct.unpack(">I", _read(file, at + 12, 4))[0]))
    # One sample a track: a track without a picture fits no JPEG either.
    return [*found.places, *zip(found.starts, found.sizes, strict=False)], found.orientation


def _sample_size(table: bytes) -> int:
    """Of a track with one sample: the size of all samples, or that of the first in the list."""
    same, _count, first = struct.unpack(">III", table.ljust(12, b"\0"))
    return int(same or first)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box, also of those within others. Never more than a few
    hundred."""
    waiting = [(start, end)]
    for _ in range(_MAX_BOXES):
        while waiting and waiting[-1][1] - waiting[-1][0] < 8:
            waiting.pop()
        if not waiting:
            return
        at, end = waiting.pop()
        head = _read(file, at, 16)
        length, name, long = struct.unpack(">I4sQ", head.ljust(16, b"\0"))
        body = at + 8
        if length == 1:
            length, body = long, at + 16
        elif length == 0:
            length = end - at
        if length < body - at:
            continue
        until = min(at + length, end)
        waiting.append((until, end))
        yield name, body, until
        inner = _UUIDS.get(_read(file, body, 16)) if name == b"uuid" else _HOLDERS.get(name)
        if inner is not None:
            waiting.append((body + inner, until))


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)
