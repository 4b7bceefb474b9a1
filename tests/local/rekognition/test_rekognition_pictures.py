"""Formats, orientation and limits: what is decoded, how, and what is refused before a pixel is."""

from __future__ import annotations

import base64
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from imgpipe_cli.local.rekognition.errors import Refusal
from imgpipe_cli.local.rekognition.picture import FRAME_PIXELS, FRAME_SIDE, Frame, decode
from tests.support import exhaustive

Encoded = Callable[..., bytes]
Sample = Callable[[str], bytes]


def frame_of(data: bytes) -> Frame:
    return decode(data, threading.Lock())


def code_of(data: bytes) -> str:
    with pytest.raises(Refusal) as refused:
        frame_of(data)
    return refused.value.code


def four_colors(mode: str = "RGB") -> Image.Image:
    """Red and green above blue and white, 160 x 120: any turn or mirror shows."""
    picture = Image.new("RGB", (160, 120), "white")
    for color, corner in (("red", (0, 0)), ("lime", (80, 0)), ("blue", (0, 60))):
        picture.paste(color, (*corner, corner[0] + 80, corner[1] + 60))
    return picture.convert(mode)


def corners(frame: Frame) -> list[str]:
    """The four corners' colors by letter, row by row."""
    names: dict[tuple[int, ...], str] = {(0, 0, 1): "r", (0, 1, 0): "g", (1, 0, 0): "b", (1, 1, 1): "w"}
    height, width = frame.pixels.shape[:2]
    spots = [(height // 4, width // 4), (height // 4, width * 3 // 4)]
    spots += [(height * 3 // 4, width // 4), (height * 3 // 4, width * 3 // 4)]
    return [names.get(tuple((frame.pixels[spot] > 127).astype(int).tolist()), "?") for spot in spots]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone_for_jpeg(encoded: Encoded, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(four_colors(), "JPEG", exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))[..., ::-1]
    assert np.array_equal(frame_of(data).pixels, expected)


def test_a_png_is_taken_as_it_lies(encoded: Encoded) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert frame_of(encoded(four_colors(), "PNG", exif=exif)).size == (160, 120)


def test_a_face_in_a_picture_on_its_side_gets_its_box_in_the_upright_one(
    look: Callable[..., dict[str, Any]], sample: Sample, encoded: Encoded
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.open(BytesIO(sample("astronaut.jpg"))).rotate(90, expand=True)
    (face,) = look("DetectFaces", encoded(sideways, "JPEG", exif=exif, quality=92))["FaceDetails"]
    box = face["BoundingBox"]
    assert (box["Left"], box["Top"]) == pytest.approx((0.337, 0.143), abs=0.03)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_color_modes_of_png(encoded: Encoded, mode: str) -> None:
    assert corners(frame_of(encoded(four_colors(mode)))) == ["r", "g", "b", "w"]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_color_modes_of_jpeg(encoded: Encoded, mode: str, options: dict[str, Any]) -> None:
    assert corners(frame_of(encoded(four_colors(mode), "JPEG", **options))) == ["r", "g", "b", "w"]


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_modes(encoded: Encoded, mode: str) -> None:
    half = Image.new("L", (100, 100), 0)
    half.paste(255, (50, 0, 100, 100))
    pixels = frame_of(encoded(half.convert(mode))).pixels
    assert pixels[50, 20].tolist() == [0, 0, 0]
    assert pixels[50, 80].tolist() == [255, 255, 255]


def test_16_bits_keep_their_high_byte(encoded: Encoded) -> None:
    ramp = np.full((100, 100), 0x1234, np.uint16)
    ramp[:, 50:] = 0xC0FF
    pixels = frame_of(encoded(Image.fromarray(ramp))).pixels
    assert (pixels[0, 0].tolist(), pixels[0, 99].tolist()) == ([0x12] * 3, [0xC0] * 3)


def test_transparent_pixels_lie_on_white(encoded: Encoded) -> None:
    clear = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    assert frame_of(encoded(clear)).pixels.min() == 255


@pytest.mark.parametrize(
    "size",
    [(4032, 3024), *(exhaustive.only(pytest.param(one)) for one in ((2500, 1700), (10000, 90), (80, 10000)))],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_pictures_become_frames_of_bounded_size_and_same_shape(
    encoded: Encoded, size: tuple[int, int], kind: str
) -> None:
    picture = Image.new("L", size, 255)
    picture.paste(0, (0, 0, size[0] // 2, size[1]))
    frame = frame_of(encoded(picture, kind))
    width, height = frame.size
    assert width * height <= FRAME_PIXELS * 1.01
    assert max(width, height) <= FRAME_SIDE
    assert width / height == pytest.approx(size[0] / size[1], rel=0.03)
    assert frame.pixels[height // 2, width // 4].max() < 5
    assert frame.pixels[height // 2, width * 3 // 4].min() > 250


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((79, 200), "InvalidParameterException"),
        ((200, 79), "InvalidParameterException"),
        ((10001, 100), "ImageTooLargeException"),
    ],
)
def test_sides_outside_the_limits_are_refused(encoded: Encoded, size: tuple[int, int], code: str) -> None:
    assert code_of(encoded(Image.new("L", size))) == code


def test_the_limits_themselves_are_allowed(encoded: Encoded) -> None:
    assert frame_of(encoded(Image.new("L", (80, 80)))).size == (80, 80)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "BMP", "TIFF"])
def test_other_formats_are_refused_whatever_their_name(encoded: Encoded, kind: str) -> None:
    assert code_of(encoded(four_colors(), kind)) == "InvalidImageFormatException"


@pytest.mark.parametrize(
    "data", [b"", b"<html>404</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert code_of(data) == "InvalidImageFormatException"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.02, exhaustive.only(0.3), 0.9])
def test_a_truncated_file_is_refused(sample: Sample, encoded: Encoded, kind: str, share: float) -> None:
    data = encoded(Image.open(BytesIO(sample("cat.jpg"))), kind)
    assert code_of(data[: int(len(data) * share)]) == "InvalidImageFormatException"


def test_a_damaged_png_is_refused(sample: Sample, encoded: Encoded) -> None:
    data = bytearray(encoded(Image.open(BytesIO(sample("cat.jpg")))))
    data[len(data) // 2] ^= 0xFF
    assert code_of(bytes(data)) == "InvalidImageFormatException"


def png_of(width: int, height: int) -> bytes:
    """An RGB PNG that claims that size and holds one row of it; a decoder would allocate it all."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * (1 + 3 * width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [30_000, 10_000])
def test_a_decompression_bomb_is_refused_from_its_header(side: int) -> None:
    bomb = png_of(side, side)
    tracemalloc.start()
    try:
        assert code_of(bomb) == "ImageTooLargeException"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("side", "turns"), [(3000, 0), (4000, 1)])
def test_large_pictures_are_decoded_in_turn(encoded: Encoded, side: int, turns: int) -> None:
    taken: list[int] = []

    @contextmanager
    def turn() -> Iterator[None]:
        taken.append(1)
        yield

    decode(encoded(Image.new("RGB", (side, side))), turn())
    assert len(taken) == turns


def test_a_progressive_jpeg_is_judged_by_the_coefficients_it_keeps(encoded: Encoded) -> None:
    huge = Image.new("L", (10_000, 9_000))
    assert frame_of(encoded(huge, "JPEG")).size[0] <= FRAME_SIDE
    assert code_of(encoded(huge, "JPEG", progressive=True)) == "ImageTooLargeException"


def test_a_jpeg_of_endless_scans_is_refused(encoded: Encoded) -> None:
    data = encoded(four_colors(), "JPEG", progressive=True)
    last_scan = data[data.rfind(b"\xff\xda") : -2]
    assert frame_of(data).size == (160, 120)
    assert code_of(data[:-2] + last_scan * 200 + data[-2:]) == "InvalidImageFormatException"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_spoil_the_picture(encoded: Encoded) -> None:
    data = encoded(four_colors(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert frame_of(data).size == (160, 120)


def test_bytes_that_are_not_base64_of_a_picture(refuse: Callable[..., str]) -> None:
    text = base64.b64encode(b"not a picture").decode()
    assert refuse("DetectText", {"Image": {"Bytes": text}}) == "InvalidImageFormatException"
