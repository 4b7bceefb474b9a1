"""The orientation in EXIF data, as cameras and attackers write it, and its way into the result."""

from __future__ import annotations

import struct
from io import BytesIO
from types import SimpleNamespace

import pytest
from PIL import Image

from shared.orientation import UPRIGHT, of_jpeg
from tests.support.function_cloud import Cloud


def tiff(orientation: int, order: str = "<", *, kind: int = 3, entries: int = 1) -> bytes:
    start = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", 8)
    other = struct.pack(f"{order}HHII", 0x010F, 4, 1, 7)
    entry = struct.pack(f"{order}HHIHH", 0x0112, kind, 1, orientation, 0)
    return start + struct.pack(f"{order}H", entries) + other * (entries - 1) + entry


def with_exif(data: bytes, *, before: bytes = b"") -> bytes:
    segment = b"Exif\x00\x00" + data
    return b"\xff\xd8" + before + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_orders_of_bytes_and_all_orientations(order: str, orientation: int) -> None:
    assert of_jpeg(with_exif(tiff(orientation, order, entries=3))) == orientation


def test_as_an_encoder_writes_it_and_behind_other_segments() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG", exif=exif)
    assert of_jpeg(content.getvalue()) == 6
    assert of_jpeg(with_exif(tiff(6), before=b"\xff\xe1\x00\x07http:\xff\xe0\x00\x02")) == 6


@pytest.mark.parametrize("stray", [b"\0", b"\xff", b"\xff\0\xff\0", b"\xff\xd0"])
def test_behind_bytes_that_decoders_step_over(stray: bytes) -> None:
    assert of_jpeg(with_exif(tiff(6), before=stray)) == 6


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n",
        with_exif(tiff(0)),
        with_exif(tiff(9)),
        with_exif(tiff(6, kind=4)),
        with_exif(b"II*\x00\xff\xff\xff\xff"),
        with_exif(b"XX*\x00" + tiff(6)[4:]),
        with_exif(tiff(6))[:-6],
        b"\xff\xd8" + b"\xff\xe0\x00\x00" * 100_000,
        b"\xff\xd8\xff\xda\x00\x02" + with_exif(tiff(6))[2:],
    ],
)
def test_everything_else_is_upright(head: bytes) -> None:
    assert of_jpeg(head) == UPRIGHT


def test_cut_anywhere_it_is_right_or_upright() -> None:
    whole = with_exif(tiff(6, entries=5))
    assert {of_jpeg(whole[:length]) for length in range(len(whole))} <= {UPRIGHT, 6}


def test_the_result_says_how_a_picture_is_turned(cloud: Cloud, pictures: SimpleNamespace) -> None:
    plain = pictures.jpeg()
    cloud.ingest(cloud.put("turned.jpg", with_exif(tiff(6)) + plain[2:]))
    cloud.ingest(cloud.put("upright.jpg", plain))
    turned, upright = cloud.stored("turned.jpg"), cloud.stored("upright.jpg")
    assert turned is not None and upright is not None
    assert turned["orientation"] == 6
    assert "orientation" not in upright
