"""The first bytes of a JPEG and of a PNG: all that the functions read of most pictures."""

from __future__ import annotations

import struct
import zlib


def jpeg(width: int = 640, height: int = 480, *, metadata: int = 0, tail: bytes = b"\xff\xd9") -> bytes:
    """The header of a JPEG, with `metadata` further bytes before its frame header."""
    segments = b""
    while metadata > 0:
        size = min(metadata, 65_000)
        segments += b"\xff\xe1" + struct.pack(">H", size + 2) + bytes(size)
        metadata -= size
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9) + segments + frame + tail


def png(width: int = 640, height: int = 480) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
