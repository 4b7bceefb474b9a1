"""The directories of a TIFF structure, as EXIF and most RAW files have it: tags and numbers, never pixels.

Made for hostile files: each place is read once, and there are limits for directories, entries and values.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

ORIENTATION, GPS, SUB_DIRECTORIES = 0x0112, 0x8825, 0x014A

Tags = dict[int, tuple[int, ...]]
"""Tag -> its numbers. Of anything else than numbers: where it begins, and how many bytes it has."""

_SHORT = 3
_MAX_DIRECTORIES = 32
_MAX_ENTRIES = 512
_MAX_VALUES = 64
# Type -> how it is read, and bytes of one.
_NUMBERS = {_SHORT: ("H", 2), 4: ("I", 4), 13: ("I", 4)}
_SIZES = {1: 1, 2: 1, 6: 1, 7: 1, 8: 2, 5: 8, 9: 4, 10: 8, 11: 4, 12: 8}


class Tiff:
    """A TIFF structure within a file. start: where it begins; its places are counted from there."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        """Raises ValueError for anything else."""
        self._file = file
        self._start = start
        head = self._read(0, 8)
        if len(head) < 8 or head[:2] not in (b"II", b"MM"):
            raise ValueError("it is no TIFF structure")
        self._order = "<" if head[:2] == b"II" else ">"
        (self._first,) = struct.unpack(f"{self._order}I", head[4:])

    def directories(self) -> Iterator[Tags]:
        """The first one, those that follow, and those below each, as far as they can be read."""
        waiting = [self._first]
        seen: set[int] = set()
        while waiting and len(seen) < _MAX_DIRECTORIES:
            at = waiting.pop(0)
            if at in seen or not at:
                continue
            seen.add(at)
            tags, following = self.directory(at)
            yield tags
            waiting += [following, *tags.get(SUB_DIRECTORIES, ())]

    def directory(self, at: int) -> tuple[Tags, int]:
        """The directory at this place, and where the next one is, or 0. What is cut is left out."""
        head = self._read(at, 2)
        if len(head) < 2:
            return {}, 0
        (entries,) = struct.unpack(f"{self._order}H", head)
        size = 12 * min(entries, _MAX_ENTRIES)
        body = self._read(at + 2, size + 4)
        tags: Tags = {}
        for entry in range(0, min(size, len(body) - 11), 12):
            tag, kind, count = struct.unpack_from(f"{self._order}HHI", body, entry)
            # Browsers turn no picture for an orientation of another type.
            if tag != ORIENTATION or kind == _SHORT:
                tags[tag] = self._values(kind, count, body[entry + 8 : entry + 12])
        following = body[size : size + 4]
        return tags, struct.unpack(f"{self._order}I", following)[0] if len(following) == 4 else 0

    def _values(self, kind: int, count: int, inline: bytes) -> tuple[int, ...]:
        (place,) = struct.unpack(f"{self._order}I", inline)
        if kind not in _NUMBERS:
            return place, count * _SIZES.get(kind, 0)
        letter, size = _NUMBERS[kind]
        count = min(count, _MAX_VALUES)
        data = inline if count * size <= 4 else self._read(place, count * size)
        count = min(count, len(data) // size)
        return struct.unpack(f"{self._order}{count}{letter}", data[: count * size])

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(self._start + at)
        return self._file.read(size)


def first_directory(block: bytes) -> Tags:
    """The tags that describe the first picture; none of what is no TIFF structure."""
    try:
        return next(Tiff(io.BytesIO(block)).directories(), {})
    except ValueError:
        return {}


def number(tags: Tags, tag: int, default: int = 0) -> int:
    """The first number of a tag."""
    [value, *_] = tags.get(tag) or (default,)
    return value
