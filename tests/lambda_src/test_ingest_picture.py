from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.picture import (
    JPEG,
    MAX_BYTES,
    PNG,
    Corrupt,
    NeedMore,
    Size,
    content_type,
    looks_like,
    measure,
    refusal,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [("cat.jpg", 451, 300), ("astronaut.jpg", 512, 512), ("coffee.jpg", 600, 400)],
)
def test_real_pictures_are_measured(name: str, width: int, height: int) -> None:
    head = (EXAMPLES / name).read_bytes()[:65536]
    assert content_type(head) == JPEG
    assert measure(head) == Size(width=width, height=height)


def test_made_pictures_are_measured(pictures: SimpleNamespace) -> None:
    assert measure(pictures.jpeg(1234, 567)) == Size(width=1234, height=567)
    assert measure(pictures.jpeg(1234, 567, metadata=200_000)) == Size(width=1234, height=567)
    assert measure(pictures.png(7, 70_000)) == Size(width=7, height=70_000)
    assert content_type(pictures.png()) == PNG


def test_fill_bytes_and_lone_markers_are_stepped_over(pictures: SimpleNamespace) -> None:
    whole = pictures.jpeg(300, 200)
    assert measure(whole[:2] + b"\xff\xff\xff\x01" + whole[2:]) == Size(width=300, height=200)


def test_every_cut_of_a_header_asks_for_more(pictures: SimpleNamespace) -> None:
    whole = pictures.jpeg(300, 200, tail=b"")
    for end in range(3, len(whole) - 10):
        assert measure(whole[:end]) == NeedMore()
    for end in range(8, 24):
        assert measure(pictures.png()[:end]) == NeedMore()


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xd8\xff\xda\x00\x08",
        b"\xff\xd8\xff\xd9\x00\x00",
        b"\xff\xd8\xff\xe0\x00\x01\x00\x00",
        b"\xff\xd8\xff\xe0\x00\x02\x12\x34\x56\x78",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x04CgBI" + bytes(8),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + bytes(8),
    ],
)
def test_broken_headers_are_corrupt(head: bytes) -> None:
    assert isinstance(measure(head), Corrupt)


def test_a_jpeg_may_tell_its_height_later(pictures: SimpleNamespace) -> None:
    assert measure(pictures.jpeg(300, 0)) is None
    assert isinstance(measure(pictures.jpeg(0, 300)), Corrupt)


@given(st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b""]))
def test_no_bytes_make_it_fail(tail: bytes, start: bytes) -> None:
    measure(start + tail)
    assert looks_like(start + tail)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "an empty file"),
        (b"GIF89a...", "a GIF picture"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "a WebP picture"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "a HEIC picture"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00", "an AVIF picture"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "a video"),
        (b"%PDF-1.7", "a PDF document"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        ("Grüße".encode(), "a text file"),
        (("é" * 2000).encode()[1:3000], "an unknown format"),
        (("x" + "é" * 2000).encode(), "a text file"),
        (b"\x00\x01\x02\x03", "an unknown format"),
        (b"\xfe\xfd\xfc", "an unknown format"),
    ],
)
def test_other_formats_are_called_by_their_name(head: bytes, name: str) -> None:
    assert content_type(head) is None
    assert looks_like(head) == name


@pytest.mark.parametrize(
    ("size_bytes", "width", "height", "code"),
    [
        (MAX_BYTES, 80, 10_000, None),
        (MAX_BYTES + 1, 80, 80, "too_large"),
        (1000, 79, 500, "too_small"),
        (1000, 500, 79, "too_small"),
        (1000, 10_001, 500, "too_many_pixels"),
        (1000, 500, 10_001, "too_many_pixels"),
    ],
)
def test_limits_are_those_of_rekognition(
    pictures: SimpleNamespace, size_bytes: int, width: int, height: int, code: str | None
) -> None:
    fault = refusal(pictures.jpeg(width, height), size_bytes=size_bytes)
    assert (fault and fault.code) == code
    if fault:
        assert fault.message.endswith(".")
        assert fault.hint.endswith(".")
