"""Files with parts that are broken, missing or too large, where all pixels are there: the face is found."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from imgpipe_cli.local.rekognition.essence import essence
from tests.hostile.pictures import chunk, segment, video
from tests.local.rekognition.conftest import EXAMPLES, Ask
from tests.local.rekognition.test_rekognition_pictures import code_of, frame_of

FACE = (EXAMPLES / "astronaut.jpg").read_bytes()
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
LONG_ORIENTATION = b"Exif\0\0" + struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 4, 1, 6, 0)


def _png() -> bytes:
    stream = BytesIO()
    Image.open(BytesIO(FACE)).save(stream, "PNG")
    return stream.getvalue()


def _with_chunk(data: bytes) -> bytes:
    png = _png()
    return png[:33] + data + png[33:]


ODD: dict[str, Callable[[], bytes]] = {
    "byte-between-segments": lambda: FACE[:20] + b"\0" + FACE[20:],
    "stuffing-between-segments": lambda: FACE[:20] + b"\xff\0\xff\0" + FACE[20:],
    "segment-without-ff": lambda: FACE[:20] + b"\0\xe1\0\x22" + bytes(32) + FACE[20:],
    "without-its-end": lambda: FACE[:-2],
    "xmp-that-turns-it": lambda: FACE[:2] + segment(0xE1, XMP) + FACE[2:],
    "orientation-that-is-no-short-number": lambda: FACE[:2] + segment(0xE1, LONG_ORIENTATION) + FACE[2:],
    "byte-behind-its-start": lambda: FACE[:2] + b"\0" + FACE[2:],
    "video-behind-it": lambda: FACE + video(),
    "video-for-its-end": lambda: FACE[:-2] + video(),
    "noise-for-its-end": lambda: FACE[:-2] + b"\x12\x34\xff\x04" * 9 + random.Random(1).randbytes(1 << 20),
    "another-picture-for-its-end": lambda: FACE[:-2] + FACE,
    "profile-with-a-bad-checksum": lambda: _with_chunk(chunk(b"iCCP", b"a\0\0x")[:-4] + b"oops"),
    "short-sizes": lambda: _with_chunk(chunk(b"pHYs", bytes(7))),
    "text-of-2-mb": lambda: _with_chunk(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2 << 20)))),
    "profile-of-2-mb": lambda: _with_chunk(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2 << 20)))),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_what_no_pixel_depends_on_hides_no_face(look: Ask, make: Callable[[], bytes]) -> None:
    assert len(look("DetectFaces", make())["FaceDetails"]) == 1


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_and_changes_no_pixel(make: Callable[[], bytes]) -> None:
    assert np.array_equal(frame_of(make()).pixels, frame_of(FACE).pixels)


@pytest.mark.parametrize("missing", [10, 100, 5_000, 30_000])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_ends_within_its_data_is_cut_off(missing: int, progressive: bool) -> None:
    stream = BytesIO()
    Image.open(BytesIO(FACE)).save(stream, "JPEG", progressive=progressive, quality=90)
    whole = stream.getvalue()
    assert frame_of(whole[:-2]).size == (512, 512)
    assert code_of(whole[: -2 - missing]) == "InvalidImageFormatException"


def test_a_progressive_jpeg_may_have_noise_for_its_end() -> None:
    stream = BytesIO()
    Image.open(BytesIO(FACE)).save(stream, "JPEG", progressive=True)
    whole = stream.getvalue()
    odd = whole[:-2] + b"\x12\x34\xff\x04" * 9
    assert np.array_equal(frame_of(odd).pixels, frame_of(whole).pixels)


@pytest.mark.parametrize("kept", [2, 4, 6, 12])
def test_a_jpeg_that_ends_within_its_scan_header_is_cut_off(kept: int) -> None:
    assert code_of(FACE[: FACE.index(b"\xff\xda") + kept]) == "InvalidImageFormatException"


def test_what_the_colors_and_the_way_up_depend_on_stays() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    for mode, options in (("CMYK", {}), ("RGB", {"exif": turned}), ("L", {}), ("RGB", {"keep_rgb": True})):
        stream = BytesIO()
        Image.open(BytesIO(FACE)).convert(mode).save(stream, "JPEG", **options)
        data = stream.getvalue()
        before, after = Image.open(BytesIO(data)), Image.open(BytesIO(essence(data).data))
        assert np.array_equal(np.asarray(before), np.asarray(after))
        assert before.getexif().get(0x0112) == after.getexif().get(0x0112)


def test_transparency_stays_where_it_is_sound() -> None:
    stream = BytesIO()
    Image.new("L", (90, 90), 3).save(stream, "PNG", transparency=3)
    data = stream.getvalue()
    assert essence(data).data == data
    assert frame_of(data).pixels.min() == 255  # seen on white


def test_a_png_optimized_for_iphone_apps_is_not_read() -> None:
    assert (
        code_of(_png()[:8] + chunk(b"CgBI", struct.pack(">I", 1)) + _png()[8:])
        == "InvalidImageFormatException"
    )
