"""The directories of a TIFF structure, as EXIF and most RAW files have it: tags and numbers, never pixels.

Made for hostile files: each place is read once, and there are limits for directories, entries and values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

ORIENTATION, GPS, SUB_DIRECTORIES = 0x0112, 0x8825, 0x014A

Tags = dict[int, tuple[int, ...]]
"""Tag -> its numbers. Of anything else than numbers: where it begins, and how many bytes it has."""

_MAX_DIRECTORIES = 32
_MAX_ENTRIES = 512
_MAX_VALUES = 64
# Type -> how it is read, and bytes of one.
_NUMBERS = {3: ("H", 2), 4: ("I", 4), 13: ("I", 4)}
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
        (count,) = struct.unpack(f"{self._order}H", head)
        count = min(count, _MAX_ENTRIES)
        body = self._read(at + 2, 12 * count + 4)
        tags: Tags = {}
        for entry in range(0, min(12 * count, len(body) - 11), 12):
            tag, kind, number = struct.unpack_from(f"{self._order}HHI", body, entry)
            tags[tag] = self._values(kind, number, body[entry + 8 : entry + 12])
        following = body[12 * count : 12 * count + 4]
        return tags, struct.unpack(f"{self._order}I", following)[0] if len(following) == 4 else 0

    def _values(self, kind: int, number: int, inline: bytes) -> tuple[int, ...]:
        (place,) = struct.unpack(f"{self._order}I", inline)
        if kind not in _NUMBERS:
            return place, number * _SIZES.get(kind, 0)
        letter, size = _NUMBERS[kind]
        number = min(number, _MAX_VALUES)
        data = inline if number * size <= 4 else self._read(place, number * size)
        number = min(number, len(data) // size)
        return struct.unpack(f"{self._order}{number}{letter}", data[: number * size])

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(self._start + at)
        return self._file.read(size)


def orientation(tags: Tags) -> int:
    """1 to 8, as EXIF counts; 1, upright, for anything else."""
    [value, *_] = tags.get(ORIENTATION) or (1,)
    return value if 1 <= value <= 8 else 1
