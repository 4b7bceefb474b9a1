"""What a JPEG or PNG tells beside its pixels: whether it tells a place, and the file without all of it.

No pixel is touched: the parts that are kept are kept as they are. Kept is what a decoder needs, and the color
profile; what turns the picture upright is written anew. All else goes, also what stands behind the picture:
a phone writes a video there.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from imgpipe_cli.lambdas.source import jpeg_parts, orientation, picture_kinds, tiff_tags

_JFIF, _COLOR_PROFILE = b"JFIF\0", b"ICC_PROFILE\0"
_APPS = range(0xE0, 0xF0)
_PNG_START = picture_kinds.PNG_SIGNATURE
# What the pixels need, and animations: https://www.w3.org/TR/png-3/#4Concepts.FormatChunks
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT bKGD pHYs hIST sPLT cICP mDCV cLLI "
    b"acTL fcTL fdAT".split()
)
_LATITUDE = 0x0002
_XMP_LATITUDE = b"GPSLatitude"


class NotStripped(Exception):
    """Its structure is such that nobody can be sure to have all of it."""


def tells_place(data: bytes) -> bool:
    """Whether a JPEG or PNG holds the coordinates of where it was taken."""
    if data.startswith(_PNG_START):
        exif, xmp = b"", b""
        for kind, _, body in _chunks(data):
            if kind == b"eXIf":
                exif = exif or bytes(body)
            elif kind == b"iTXt":
                xmp += body
    else:
        exif, xmp = jpeg_parts.exif_and_xmp(data)
    return _XMP_LATITUDE in xmp or (exif != b"" and _has_latitude(exif))


def stripped(data: bytes) -> bytes:
    """The same picture without GPS, EXIF, XMP, IPTC, comments and previews. Raises NotStripped."""
    if data.startswith(_PNG_START):
        return _stripped_png(data)
    try:
        return _stripped_jpeg(data)
    except ValueError as error:
        raise NotStripped(str(error)) from error


def _stripped_jpeg(data: bytes) -> bytes:
    turned = orientation.of_jpeg(data)
    kept = [b""]
    ends = False
    for part in jpeg_parts.parts(data):
        whole = data[part.start : part.data_end]
        body = data[part.start + 4 : part.end]
        if part.marker == jpeg_parts.APP0 and body.startswith(_JFIF) and len(body) >= 14:
            # Without its preview, and first, where it has to stand.
            kept[0] = whole[:2] + struct.pack(">H", 16) + body[:12] + b"\0\0"
        elif part.marker not in _APPS and part.marker != jpeg_parts.COM:
            kept.append(whole)
            ends = part.data_end < len(data)
        elif part.marker == jpeg_parts.APP14 or (
            part.marker == jpeg_parts.APP2 and body.startswith(_COLOR_PROFILE)
        ):
            kept.append(whole)
    if turned != 1:
        body = jpeg_parts.EXIF + _turning(turned)
        kept.insert(1, bytes([0xFF, jpeg_parts.APP1]) + struct.pack(">H", len(body) + 2) + body)
    return jpeg_parts.START + b"".join(kept) + (jpeg_parts.END if ends else b"")


def _stripped_png(data: bytes) -> bytes:
    kept: list[bytes | memoryview] = [_PNG_START]
    turned = 1
    for kind, whole, body in _chunks(data):
        if kind == b"eXIf":
            turned = orientation.of_exif(bytes(body))
        elif kind == b"IDAT" and turned != 1:
            kept.append(_chunk(b"eXIf", _turning(turned)))
            turned = 1
        if kind in _PNG_KEPT:
            kept.append(whole)
    return b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Kind, whole chunk, and content, up to the picture's end, none of them copied. The last may be cut."""
    at = len(_PNG_START)
    view = memoryview(data)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        yield kind, view[at:end], view[at + 8 : end - 4]
        if kind == b"IEND":
            return
        at = end


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _turning(turned: int) -> bytes:
    """A TIFF structure that holds the orientation, and nothing else."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, turned, 0, 0)


def _has_latitude(exif: bytes) -> bool:
    at = tiff_tags.number(tiff_tags.first_directory(exif), tiff_tags.GPS)
    return bool(at) and _LATITUDE in tiff_tags.Tiff(io.BytesIO(exif)).directory(at)[0]
