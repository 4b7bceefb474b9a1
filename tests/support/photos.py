"""Photographs as cameras and programs store them, made of one upright picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.heic import make as heic
from tests.support.heic.make import turned

EXAMPLES = Path(__file__).parents[2] / "examples"
ORIENTATIONS = range(1, 9)
_SHORT, _LONG, _UNDEFINED = 3, 4, 7


def cat(width: int = 240) -> Image.Image:
    """Upright, and no two of its turns look alike."""
    found = Image.open(EXAMPLES / "cat.jpg").convert("RGB")
    found.thumbnail((width, width))
    return found


def _saved(image: Image.Image, form: str, orientation: int, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    turned(image, orientation).save(content, form, exif=exif, **options)
    return content.getvalue()


def jpeg(orientation: int = 1, *, image: Image.Image | None = None, **options: Any) -> bytes:
    return _saved(image or cat(), "JPEG", orientation, **{"quality": 95, **options})


def plain_jpeg(image: Image.Image) -> bytes:
    """Without EXIF, as most previews in RAW files are."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=95)
    return content.getvalue()


def _tiff(orientation: int) -> bytes:
    content = io.BytesIO()
    turned(cat(), orientation).save(content, "TIFF", tiffinfo={0x0112: orientation})
    return content.getvalue()


def _heic(orientation: int) -> bytes:
    return (heic.HERE / f"turned-{orientation}.heic").read_bytes()


def tiff_file(directories: list[Mapping[int, tuple[int, int, int]]], *, magic: bytes = b"II*\0") -> bytes:
    """directories: of the chain; tag -> type, count, value. They begin at 16, one after the other."""
    content = bytearray(magic.ljust(16, b"\0"))
    struct.pack_into("<I", content, 4, 16)
    for number, tags in enumerate(directories):
        content += struct.pack("<H", len(tags))
        for tag, (kind, count, value) in sorted(tags.items()):
            written = struct.pack("<H2x", value) if kind == _SHORT else struct.pack("<I", value)
            content += struct.pack("<HHI", tag, kind, count) + written
        is_last = number == len(directories) - 1
        content += struct.pack("<I", 0 if is_last else len(content) + 4)
    return bytes(content)


_PREVIEW_AT = 1024


def _with_preview(head: bytes, orientation: int, *, sensor: bytes = b"\x5a" * 5000) -> bytes:
    """What a TIFF names at 1,024 is the preview; the sensor's data follow it."""
    preview = plain_jpeg(turned(cat(), orientation))
    return head.ljust(_PREVIEW_AT, b"\0") + preview.ljust(60_000, b"\0") + sensor


def _preview_bytes(orientation: int) -> int:
    return len(plain_jpeg(turned(cat(), orientation)))


def dng(orientation: int = 1) -> bytes:
    """A small thumbnail first, the preview in a directory below, as Adobe's converter writes it."""
    preview = {
        0x00FE: (_LONG, 1, 1),
        0x0103: (_SHORT, 1, 7),
        0x0106: (_SHORT, 1, 6),
        0x0111: (_LONG, 1, _PREVIEW_AT),
        0x0117: (_LONG, 1, _preview_bytes(orientation)),
    }
    first = {
        0x00FE: (_LONG, 1, 1),
        0x0106: (_SHORT, 1, 2),
        0x0111: (_LONG, 1, 62_000),
        0x0112: (_SHORT, 1, orientation),
        0x0117: (_LONG, 1, 3000),
        0x014A: (_LONG, 1, 0),
        0xC612: (1, 4, 0x0401),
    }
    size = 2 + 12 * len(first) + 4
    first[0x014A] = (_LONG, 1, 16 + size)
    # The directory below is not in the chain: the first one is its only part.
    head = tiff_file([first]) + tiff_file([preview])[16:]
    return _with_preview(head, orientation)


def cr2(orientation: int = 1) -> bytes:
    """The preview in the first directory, behind it a lossless JPEG of the sensor, which is larger."""
    lossless = b"\xff\xd8\xff\xc3\x00\x0b\x0e\x10\x00\x10\x00\x01\x00\x11\x00".ljust(200_000, b"\0")
    first = {
        0x0103: (_SHORT, 1, 6),
        0x010F: (2, 6, 900),
        0x0111: (_LONG, 1, _PREVIEW_AT),
        0x0112: (_SHORT, 1, orientation),
        0x0117: (_LONG, 1, _preview_bytes(orientation)),
    }
    raw = {0x0103: (_SHORT, 1, 6), 0x0111: (_LONG, 1, 61_024), 0x0117: (_LONG, 1, len(lossless))}
    head = bytearray(tiff_file([first, raw]))
    head[8:12] = b"CR\x02\0"
    return _with_preview(bytes(head), orientation, sensor=lossless)


def nef(orientation: int = 1, maker: bytes = b"NIKON CORPORATION") -> bytes:
    """As ARW has it too: the preview's place by the tags of a thumbnail."""
    first = {
        0x00FE: (_LONG, 1, 1),
        0x0112: (_SHORT, 1, orientation),
        0x0201: (_LONG, 1, _PREVIEW_AT),
        0x0202: (_LONG, 1, _preview_bytes(orientation)),
    }
    return _with_preview(tiff_file([first]) + maker, orientation)


def arw(orientation: int = 1) -> bytes:
    return nef(orientation, b"SONY")


def rw2(orientation: int = 1) -> bytes:
    first = {
        0x002E: (_UNDEFINED, _preview_bytes(orientation), _PREVIEW_AT),
        0x0112: (_SHORT, 1, orientation),
    }
    return _with_preview(tiff_file([first], magic=b"IIU\0"), orientation)


def raf(orientation: int = 1) -> bytes:
    """Its JPEG is a whole one, with EXIF of its own."""
    preview = jpeg(orientation)
    head = bytearray(b"FUJIFILMCCD-RAW 0201".ljust(160, b"\0"))
    struct.pack_into(">II", head, 84, len(head), len(preview))
    return bytes(head) + preview + bytes(5000)


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def cr3(orientation: int = 1, *, in_track: bool = True) -> bytes:
    """in_track: the full picture in a track; else only the smaller preview in a box of its own."""
    preview = plain_jpeg(turned(cat(), orientation))
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    about = tiff_file([{0x0112: (_SHORT, 1, orientation)}])
    kind = _box(b"ftyp", b"crx \0\0\0\1crx isom")

    def track(place: int, size: int) -> bytes:
        table = _box(
            b"stbl",
            _box(b"stsz", struct.pack(">III", 0, size, 1)),
            _box(b"co64", struct.pack(">IIQ", 0, 1, place)),
        )
        return _box(b"trak", _box(b"mdia", _box(b"minf", table)))

    def whole(place: int) -> bytes:
        tracks = track(place, len(preview)) if in_track else b""
        moov = _box(b"moov", _box(b"uuid", canon, _box(b"CMT1", about)), tracks, track(place + 70_000, 9000))
        if in_track:
            return kind + moov
        head = struct.pack(">IHHHHI", 0, 1, 240, 160, 1, len(preview))
        owner = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
        return kind + moov + _box(b"uuid", owner, bytes(7) + b"\1", _box(b"PRVW", head, preview))

    place = len(whole(0)) + 8
    return whole(place) + _box(b"mdat", preview.ljust(70_000, b"\0"), b"\x5a" * 9000)


MADE: Mapping[str, Callable[[int], bytes]] = {
    "HEIC": _heic,
    "AVIF": lambda orientation: _saved(cat(), "AVIF", orientation, quality=90, speed=10),
    "WebP": lambda orientation: _saved(cat(), "WEBP", orientation, quality=95),
    "TIFF": _tiff,
    "DNG": dng,
    "CR2": cr2,
    "CR3": cr3,
    "NEF": nef,
    "ARW": arw,
    "RAF": raf,
    "RW2": rw2,
}
"""Kind -> the picture in a file of that kind, stored with an orientation."""


def bmp() -> bytes:
    content = io.BytesIO()
    cat().save(content, "BMP")
    return content.getvalue()


def gif(frames: int = 2) -> bytes:
    """The cat first, then something else."""
    content = io.BytesIO()
    others = [Image.new("RGB", cat().size, "red")] * (frames - 1)
    cat().save(content, "GIF", save_all=True, append_images=others)
    return content.getvalue()


def png(_orientation: int = 1) -> bytes:
    """Always upright: nobody turns a PNG for what it says."""
    content = io.BytesIO()
    cat().save(content, "PNG")
    return content.getvalue()
