"""--strip-metadata: no GPS, EXIF, XMP or IPTC is left, no pixel is touched, and the picture stays upright."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from imgpipe_cli.pictures.converting.metadata import NotStripped, stripped, tells_place
from tests.support import photos
from tests.support.heic.make import turned

PLACE = {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="48,51.5N"/></x:xmpmeta>'
SECRET = b"Rue de la Paix"
_PHOTOSHOP = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\x14\x1c\x02\x5a\0\x0f" + SECRET + b"\0"


def exif(orientation: int = 6, *, place: bool = True) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010E] = SECRET.decode()
    if place:
        found[0x8825] = PLACE
    return found


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(orientation: int = 6, *, progressive: bool = False) -> bytes:
    """With a place in EXIF and XMP, an address in IPTC and a comment, and a video with its own behind it."""
    content = io.BytesIO()
    profile = {"icc_profile": b"a color profile"}
    image = turned(photos.cat(), orientation)
    image.save(content, "JPEG", exif=exif(orientation), xmp=XMP, progressive=progressive, **profile)
    data = content.getvalue()
    more = _segment(0xED, _PHOTOSHOP) + _segment(0xFE, SECRET) + _segment(0xE0, b"JFXX\0\x10" + SECRET)
    return data[:2] + more + data[2:] + b"\0\0\0\x18ftypmp42" + SECRET


def png(orientation: int = 6) -> bytes:
    content = io.BytesIO()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    image = turned(photos.cat(), orientation)
    image.save(content, "PNG", exif=exif(orientation), pnginfo=text, dpi=(72, 72))
    return content.getvalue() + SECRET


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    """Upright, as a viewer shows it."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


MADE = {
    "jpeg": jpeg,
    "progressive": lambda orientation=6: jpeg(orientation, progressive=True),
    "png": png,
}


@pytest.mark.parametrize("kind", MADE)
def test_nothing_is_left_and_no_pixel_differs(kind: str) -> None:
    for orientation in photos.ORIENTATIONS:
        data = MADE[kind](orientation)
        assert tells_place(data) and SECRET in data
        found = stripped(data)
        assert not tells_place(found)
        assert [word for word in (SECRET, b"GPS", b"xmpmeta", b"ftypmp42") if word in found] == []
        assert np.array_equal(pixels(data), pixels(found))
        assert stripped(found) == found


def test_color_profile_and_what_the_decoder_needs_stay() -> None:
    found = Image.open(io.BytesIO(stripped(jpeg())))
    assert found.info["icc_profile"] == b"a color profile"
    assert found.info["jfif"] == 0x0101
    cmyk = photos.jpeg(1, image=photos.cat().convert("CMYK"))
    assert np.array_equal(pixels(cmyk), pixels(stripped(cmyk)))
    assert "dpi" in Image.open(io.BytesIO(stripped(png()))).info


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed: NOT CHECKED WITH IT")
@pytest.mark.parametrize("kind", MADE)
def test_exiftool_finds_the_orientation_and_nothing_else(kind: str, tmp_path: Path) -> None:
    groups = {}
    for name, data in (("before", MADE[kind]()), ("after", stripped(MADE[kind]()))):
        path = tmp_path / name
        path.write_bytes(data)
        asked = ["-EXIF:all", "-XMP:all", "-IPTC:all", "-GPS:all", "-Comment"]
        command = ["exiftool", "-a", "-G1", "-s", *asked, str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        groups[name] = {tuple(line.split(":")[0].split()) for line in told.splitlines()}
    assert ("[GPS]", "GPSLatitude") in groups["before"]
    assert groups["after"] == {("[IFD0]", "Orientation")}


def test_a_gps_block_without_coordinates_tells_no_place() -> None:
    found = Image.Exif()
    found[0x8825] = {0: b"\2\3\0\0", 29: "2026:11:30"}
    content = io.BytesIO()
    photos.cat().save(content, "JPEG", exif=found)
    assert not tells_place(content.getvalue())
    assert not tells_place(photos.jpeg())
    assert not tells_place((photos.EXAMPLES / "sign.png").read_bytes())


def test_a_thumbnail_in_jfif_goes() -> None:
    data = photos.plain_jpeg(photos.cat())
    head, rest = data[:4], data[20:]
    with_thumbnail = head[:2] + _segment(0xE0, data[6:18] + b"\2\2" + SECRET[:12]) + rest
    found = stripped(with_thumbnail)
    assert SECRET[:12] not in found
    assert np.array_equal(pixels(found), pixels(data))


def test_bytes_between_segments_go_as_decoders_skip_them() -> None:
    data = photos.plain_jpeg(photos.cat())
    odd = data[:20] + b"\0\xe1" + struct.pack(">H", len(SECRET) + 2) + SECRET + data[20:]
    found = stripped(odd)
    assert SECRET not in found
    assert np.array_equal(pixels(found), pixels(data))


def test_a_jpeg_without_its_end_and_a_png_without_its_last_chunks_stay_as_far_as_they_are() -> None:
    data = jpeg()[: -len(SECRET) - 12]
    assert data.endswith(b"\xff\xd9")
    assert stripped(data[:-2]) == stripped(data)[:-2]
    whole = png(1)
    assert stripped(whole[:20_000]) == stripped(whole)[: len(stripped(whole[:20_000]))]


def test_what_cannot_be_told_apart_is_not_said_to_be_stripped() -> None:
    data = photos.plain_jpeg(photos.cat())
    with pytest.raises(NotStripped):
        stripped(data[:20] + data)  # a second picture within the header of the first
    with pytest.raises(NotStripped):
        stripped(data[:20] + _segment(0xFE, b"") * 10_001 + data[20:])


def test_chunks_of_hostile_lengths_end() -> None:
    start = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">I4s", 13, b"IHDR") + bytes(13) + struct.pack(">I", zlib.crc32(b"IHDR" + bytes(13)))
    for length in (0, 2**31, 2**32 - 1):
        data = start + header + struct.pack(">I4s", length, b"eXIf") + b"II*\0"
        assert stripped(data) == start + header
        assert not tells_place(data)
