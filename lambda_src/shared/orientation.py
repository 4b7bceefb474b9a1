"""How a JPEG is to be turned: the orientation in its EXIF data. Pure, and standard library only.

Rekognition turns a picture so before it looks, and its boxes are those of the upright picture. It reads no
EXIF data of PNGs.
"""

from __future__ import annotations

import struct

UPRIGHT = 1
SIDEWAYS = frozenset({5, 6, 7, 8})
"""With these, width and height of the upright picture are height and width in the file."""

_APP1, _SCAN = 0xE1, 0xDA
_EXIF = b"Exif\x00\x00"
_TAG, _SHORT = 0x0112, 3
_MOST_SEGMENTS = 100
_MOST_ENTRIES = 1000


def of_jpeg(head: bytes) -> int:
    """1 to 8 as EXIF counts; 1 where the first bytes tell nothing, or nothing that is one."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if head[at : at + 1] != b"\xff" or len(head) < at + 4 or head[at + 1] == _SCAN:
            break
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 1] == _APP1 and head.startswith(_EXIF, at + 4):
            return _of_tiff(head[at + 4 + len(_EXIF) : at + 2 + length])
        at += 2 + length
    return UPRIGHT


def _of_tiff(tiff: bytes) -> int:
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for place in range(min(count, _MOST_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * place)
            if (tag, kind) == (_TAG, _SHORT):
                return int(value) if UPRIGHT <= value <= max(SIDEWAYS) else UPRIGHT
    except struct.error:  # it ends too early
        pass
    return UPRIGHT
