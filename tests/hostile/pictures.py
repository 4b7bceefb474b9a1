"""Hostile contents of files, all made by code, and what becomes of each."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

MAX_BYTES = 15 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
BAD_FORMAT = "InvalidImageFormatException"
TOO_LARGE = "ImageTooLargeException"


@dataclass(frozen=True)
class PictureRow:
    """refused: why it is neither sent nor paid for. analysis: what the local Rekognition answers to what is
    sent, "" for a result."""

    id: str
    make: Callable[[], bytes]
    refused: str = ""
    analysis: str = ""


def scene(width: int = 160, height: int = 120, mode: str = "RGB") -> Image.Image:
    """Not of one color, so that half of its bytes are not half of nothing."""
    picture = Image.effect_noise((width, height), 60).convert("RGB")
    picture.paste("red", (10, 10, width // 2, height // 2))
    return picture.convert(mode)


def encoded(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    stream = BytesIO()
    (picture or scene()).save(stream, kind, **options)
    return stream.getvalue()


def jpeg() -> bytes:
    return encoded("JPEG", quality=90)


def png() -> bytes:
    return encoded("PNG")


def blank(width: int, height: int) -> bytes:
    return encoded("PNG", Image.new("L", (width, height)))


def part(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *, color: int = 2, rows: bytes = b"", more: bytes = b"") -> bytes:
    """A PNG that claims this size. rows: what its pixels really are, before compression."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
    return PNG + header + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb(size: int) -> bytes:
    """Zeros, compressed: a thousandth of the size."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def text_bomb() -> bytes:
    return png_of(160, 120, rows=bytes(121 * 500), more=chunk(b"zTXt", b"a\0\0" + bomb(200 << 20)))


def profile_bomb() -> bytes:
    return png_of(160, 120, rows=bytes(121 * 500), more=chunk(b"iCCP", b"a\0\0" + bomb(200 << 20)))


def pixel_bomb() -> bytes:
    """Far more pixels than the header says."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 160, 120, 8, 2, 0, 0, 0))
    return PNG + header + chunk(b"IDAT", bomb(200 << 20)) + chunk(b"IEND", b"")


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded("JPEG", exif=exif)


def archive() -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as found:
        found.writestr("evil.py", "import os")
    return stream.getvalue()


def with_height(data: bytes, height: int) -> bytes:
    """A JPEG whose frame header claims another height."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">H", height) + data[at + 2 :]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def after_start(data: bytes, inserted: bytes) -> bytes:
    return data[:2] + inserted + data[2:]


def before_scan(inserted: bytes) -> bytes:
    """A JPEG whose size is told before this."""
    data = jpeg()
    at = data.index(b"\xff\xda")
    return data[:at] + inserted + data[at:]


def endless_scans() -> bytes:
    data = encoded("JPEG", progressive=True)
    return data[:-2] + data[data.rfind(b"\xff\xda") : -2] * 300 + data[-2:]


def with_chunk(kind: bytes, body: bytes, *, sound: bool = True) -> bytes:
    """A PNG with this chunk behind its header. sound: with the right checksum."""
    data, more = png(), chunk(kind, body)
    return data[:33] + (more if sound else more[:-4] + b"oops") + data[33:]


def thumbnail_in_a_damaged_segment() -> bytes:
    """EXIF written 00 E1 for FF E1, and in it a picture of its own."""
    small = encoded("JPEG", scene(60, 40))
    return after_start(jpeg(), segment(0xE0, b"") + b"\0\xe1" + struct.pack(">H", len(small) + 2) + small)


def video() -> bytes:
    """What a phone puts behind a picture; in such bytes there is every marker of a JPEG."""
    return b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 10_000 + b"\xff\xda\0\x08" * 500


def animated() -> bytes:
    return encoded("PNG", save_all=True, append_images=[scene(), scene()], duration=10)


def _other(name: str, make: Callable[[], bytes]) -> PictureRow:
    return PictureRow(f"file-{name}", make, "unsupported_format")


def _damaged(name: str, make: Callable[[], bytes]) -> PictureRow:
    return PictureRow(f"file-{name}", make, "corrupt")


def _fine(name: str, make: Callable[[], bytes]) -> PictureRow:
    return PictureRow(f"file-{name}", make)


def _undecodable(name: str, make: Callable[[], bytes]) -> PictureRow:
    return PictureRow(f"file-{name}", make, analysis=BAD_FORMAT)


PICTURES = (
    # Of another kind, whatever the name says.
    _other("empty", lambda: b""),
    _other("one-byte", lambda: b"\xff"),
    _other("gif", lambda: encoded("GIF")),
    _other("webp", lambda: encoded("WEBP")),
    _other("avif", lambda: encoded("AVIF")),
    _other("heic", lambda: b"\0\0\0\x18ftypheic" + bytes(100)),
    _other("jpeg-2000", lambda: encoded("JPEG2000")),
    _other("jpeg-xl", lambda: b"\xff\x0a" + bytes(100)),
    _other("tiff", lambda: encoded("TIFF")),
    _other("bmp", lambda: encoded("BMP")),
    _other("ico", lambda: encoded("ICO")),
    _other("svg", lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
    _other("svg-of-entities", lambda: b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg>&a;&a;</svg>'),
    _other("pdf", lambda: encoded("PDF")),
    _other("zip", archive),
    _other("html", lambda: b"<!doctype html><script>alert(1)</script>"),
    _other("utf-16", lambda: "a picture".encode("utf-16")),
    _other("escapes", lambda: b"\x1b[2J\x1b]0;owned\x07"),
    _other("gif-that-goes-on-as-jpeg", lambda: b"GIF89a" + jpeg()),
    _other("html-that-goes-on-as-jpeg", lambda: b"<html>" + jpeg()),
    _other("line-end-before-png", lambda: b"\n" + png()),
    _other("png-with-its-line-ends-changed", lambda: png().replace(b"\r\n", b"\n", 1)),
    _other("raw", lambda: b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(99)),
    _other("companion", lambda: b"\0\x05\x16\x07" + bytes(99)),
    _other("png-for-iphone-apps", lambda: PNG + chunk(b"CgBI", b"P\0 \2") + png()[8:]),
    _other("base64-of-a-picture", lambda: b"data:image/png;base64,iVBORw0KGgo="),
    # Broken where the header tells it.
    _damaged("jpeg-of-three-bytes", lambda: b"\xff\xd8\xff"),
    _damaged("jpeg-of-a-start-and-an-end", lambda: b"\xff\xd8\xff\xd9"),
    _damaged("jpeg-cut-in-its-header", lambda: jpeg()[:20]),
    _damaged("jpeg-of-markers-only", lambda: b"\xff\xd8" + b"\xff" * 5000),
    _damaged("jpeg-with-a-segment-of-no-length", lambda: b"\xff\xd8\xff\xe0\0\0" + bytes(100)),
    _damaged("jpeg-of-empty-segments", lambda: after_start(jpeg(), segment(0xFE, b"") * 20_000)),
    _damaged("jpeg-of-filler", lambda: after_start(jpeg(), b"\xff" * 100_000)),
    _damaged("jpeg-of-restarts", lambda: after_start(jpeg(), b"\xff\xd0" * 20_000)),
    _damaged("jpeg-without-a-frame", lambda: b"\xff\xd8" + segment(0xDA, bytes(8)) + bytes(100)),
    _damaged("jpeg-that-promises-more-header", lambda: b"\xff\xd8\xff\xe1\xff\xff" + bytes(100)),
    _damaged("png-of-a-signature", lambda: PNG),
    _damaged("png-cut-in-its-header", lambda: png()[:20]),
    _damaged("png-without-a-header", lambda: PNG + chunk(b"IDAT", b"")),
    _damaged("png-of-no-pixels", lambda: png_of(0, 0)),
    # Sizes.
    PictureRow("file-side-of-79", lambda: blank(79, 200), "too_small"),
    PictureRow("file-one-pixel", lambda: blank(1, 1), "too_small"),
    _fine("side-of-80", lambda: blank(80, 80)),
    _fine("side-of-10000", lambda: blank(10_000, 80)),
    PictureRow("file-side-of-10001", lambda: blank(10_001, 80), "too_many_pixels"),
    PictureRow("file-claims-20000-x-20000", lambda: png_of(20_000, 20_000), "too_many_pixels"),
    PictureRow("file-claims-2-to-the-32", lambda: png_of(2**32 - 1, 2**32 - 1), "too_many_pixels"),
    PictureRow("file-claims-65535-as-jpeg", lambda: with_height(jpeg(), 65_535), "too_many_pixels"),
    _fine("of-15-mb", lambda: jpeg().ljust(MAX_BYTES, b"\0")),
    PictureRow("file-of-15-mb-and-a-byte", lambda: jpeg().ljust(MAX_BYTES + 1, b"\0"), "too_large"),
    # Sent, since only decoding tells.
    PictureRow("file-claims-10000-x-10000", lambda: png_of(10_000, 10_000), analysis=TOO_LARGE),
    _undecodable("jpeg-cut-at-half", lambda: part(jpeg(), 0.5)),
    _undecodable("jpeg-cut-at-nine-tenths", lambda: part(jpeg(), 0.9)),
    _undecodable("png-cut-at-half", lambda: part(png(), 0.5)),
    _undecodable("png-cut-at-nine-tenths", lambda: part(png(), 0.9)),
    _undecodable("png-of-a-chunk-without-end", lambda: png()[:33] + b"\xff\xff\xff\xffIDAT" + bytes(99)),
    _undecodable("jpeg-of-no-height", lambda: with_height(jpeg(), 0)),
    _undecodable("jpeg-of-endless-scans", endless_scans),
    _undecodable("jpeg-of-ever-so-many-segments", lambda: before_scan(segment(0xFE, b"") * 400_000)),
    _undecodable(
        "png-of-ever-so-many-chunks", lambda: png()[:33] + chunk(b"teSt", b"") * 400_000 + png()[33:]
    ),
    _undecodable("jpeg-with-a-thumbnail-in-a-damaged-segment", thumbnail_in_a_damaged_segment),
    _undecodable("jpeg-cut-just-before-its-end", lambda: encoded("JPEG", progressive=True)[:-10]),
    # With parts that are broken, or bombs, and that no pixel depends on.
    _fine("jpeg-of-empty-segments-after-its-frame", lambda: before_scan(segment(0xFE, b"") * 200_000)),
    _fine("jpeg-of-filler-after-its-frame", lambda: before_scan(b"\xff" * 400_000)),
    _fine("jpeg-with-a-byte-between-segments", lambda: after_start(jpeg(), segment(0xE0, b"") + b"\0")),
    _fine("jpeg-with-stuffing-between-segments", lambda: after_start(jpeg(), b"\xff\0" * 9)),
    _fine(
        "jpeg-with-a-segment-without-ff",
        lambda: after_start(jpeg(), segment(0xE0, b"") + b"\0\xe1\0\x22" + bytes(32)),
    ),
    _fine("jpeg-with-a-segment-of-length-0", lambda: after_start(jpeg(), b"\xff\xe3\0\0")),
    _fine("jpeg-of-a-broken-jfif", lambda: after_start(jpeg(), segment(0xE0, b"JFIF\0"))),
    _fine("jpeg-without-its-end", lambda: jpeg()[:-2]),
    _fine("jpeg-without-half-of-its-end", lambda: jpeg()[:-1]),
    _fine("jpeg-progressive-without-its-end", lambda: encoded("JPEG", progressive=True)[:-2]),
    _fine("jpeg-with-a-video-behind", lambda: jpeg() + video()),
    _fine("png-of-empty-chunks", lambda: png()[:33] + chunk(b"teSt", b"") * 150_000 + png()[33:]),
    _fine(
        "png-of-a-profile-with-a-bad-checksum",
        lambda: with_chunk(b"iCCP", b"a\0\0" + bomb(1 << 20), sound=False),
    ),
    _fine("png-of-transparency-with-a-bad-checksum", lambda: with_chunk(b"tRNS", bytes(6), sound=False)),
    _fine("png-of-short-transparency", lambda: with_chunk(b"tRNS", bytes(3))),
    _fine("png-of-short-sizes", lambda: with_chunk(b"pHYs", bytes(3))),
    _fine("png-of-no-gamma", lambda: with_chunk(b"gAMA", b"")),
    _fine("png-of-a-broken-text", lambda: with_chunk(b"iTXt", b"a")),
    _fine("png-of-3-mb-text", lambda: with_chunk(b"iTXt", b"a\0\1\0\0\0" + bomb(3 << 20))),
    _fine("png-without-its-end", lambda: png()[:-12]),
    _fine("bomb-of-text", text_bomb),
    _fine("bomb-of-a-profile", profile_bomb),
    # Whose stream ends in good order too soon or too late: what is missing is empty, the rest is left.
    _fine("png-of-fewer-rows-than-it-says", lambda: png_of(160, 120, rows=bytes(481 * 50))),
    _fine("jpeg-of-fewer-rows-than-it-says", lambda: with_height(jpeg(), 5_000)),
    _fine("bomb-of-pixels", pixel_bomb),
    # Pictures, if unusual ones.
    _fine("jpeg-that-is-a-zip-too", lambda: jpeg() + archive()),
    _fine("png-that-is-a-page-too", lambda: png() + b"<script>alert(1)</script>"),
    _fine("jpeg-with-a-page-in-its-comment", lambda: after_start(jpeg(), segment(0xFE, b"<script>"))),
    _fine("jpeg-of-four-colors", lambda: encoded("JPEG", scene(mode="CMYK"))),
    _fine("jpeg-progressive", lambda: encoded("JPEG", progressive=True)),
    _fine("jpeg-on-its-side", rotated),
    _fine("jpeg-of-broken-exif", lambda: encoded("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")),
    _fine("jpeg-of-3-mb-metadata", lambda: after_start(jpeg(), segment(0xED, bytes(60_000)) * 50)),
    _fine("jpeg-of-as-many-segments-as-allowed", lambda: after_start(jpeg(), segment(0xFE, b"") * 9_000)),
    _fine("jpeg-of-as-much-filler-as-allowed", lambda: after_start(jpeg(), b"\xff" * 65_000)),
    _fine("png-of-16-bits", lambda: encoded("PNG", Image.new("I;16", (160, 120), 40_000))),
    _fine("png-of-one-bit", lambda: encoded("PNG", scene(mode="1"))),
    _fine("png-of-a-palette", lambda: encoded("PNG", scene(mode="P"), transparency=0)),
    _fine("png-that-moves", animated),
)
