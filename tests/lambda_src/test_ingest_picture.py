from __future__ import annotations

import struct
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
    is_picture,
    measure,
    refusal,
)
from shared.picture_kinds import looks_like

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
        b"\xff\xd8\xff\xdb\x00\x01\x00\x00",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x04CgBI" + bytes(8),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + bytes(8),
    ],
)
def test_broken_headers_are_corrupt(head: bytes) -> None:
    assert isinstance(measure(head), Corrupt)


@pytest.mark.parametrize(
    "stray",
    [b"\x00", b"\xff\x00\xff\x00", b"\x00\xe1\x00\x22" + bytes(32), b"\x12\x34\x56", b"\xff\xe0\x00\x00"],
    ids=["a-byte", "stuffing", "a-segment-without-ff", "bytes", "a-segment-of-no-length"],
)
def test_what_decoders_step_over_between_segments_is_stepped_over(
    pictures: SimpleNamespace, stray: bytes
) -> None:
    whole = pictures.jpeg(300, 200)
    first = 4 + int.from_bytes(whole[4:6], "big")
    for at in (2, first) if stray[:1] == b"\xff" else (first,):
        odd = whole[:at] + stray + whole[at:]
        assert measure(odd) == Size(width=300, height=200)
        assert refusal(odd) is None


def test_the_size_of_a_preview_is_not_that_of_the_picture(pictures: SimpleNamespace) -> None:
    """Where the segment that held it is damaged, only decoding tells."""
    whole = pictures.jpeg(300, 200)
    assert measure(whole[:2] + b"\xff\xe1\x00\x02" + pictures.jpeg(60, 40) + whole[2:]) is None


def test_a_jpeg_may_tell_its_height_later(pictures: SimpleNamespace) -> None:
    assert measure(pictures.jpeg(300, 0)) is None
    assert isinstance(measure(pictures.jpeg(0, 300)), Corrupt)


@given(st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b""]))
def test_no_bytes_make_it_fail(tail: bytes, start: bytes) -> None:
    measure(start + tail)
    assert looks_like(start + tail)


_COMPANION = "the companion file of a picture that macOS writes (AppleDouble)"


def _ftyp(*brands: bytes) -> bytes:
    """The start of a file of MPEG's container: its main brand, and what it is compatible with."""
    main, *others = brands
    return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + main + bytes(4) + b"".join(others) + bytes(40)


def _tiff(order: str, tags: dict[int, int], maker: bytes) -> bytes:
    """A TIFF whose first directory holds these numbers, with the maker's name behind it."""
    shorts = {0x106}
    entries = b"".join(
        struct.pack(f"{order}HHI{'Hxx' if tag in shorts else 'I'}", tag, 3 if tag in shorts else 4, 1, value)
        for tag, value in sorted(tags.items())
    )
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return start + entries + bytes(4) + maker + bytes(40)


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
        (b"\n<html><body><svg width='9'>", "an HTML page"),
        (b"# Icons: <svg> in a page", "a text file"),
        (b"BM\x36\x10\0\0\0\0\0\0\x36\0\0\0", "a BMP picture"),
        (b"BMW, Munich: what the folder holds", "a text file"),
        ("Grüße".encode(), "a text file"),
        (("é" * 2000).encode()[1:3000], "an unknown format"),
        (("x" + "é" * 2000).encode(), "a text file"),
        (b"\x00\x01\x02\x03", "an unknown format"),
        (b"\xfe\xfd\xfc", "an unknown format"),
        (_ftyp(b"crx ", b"isom"), "a camera RAW file (CR3)"),
        (b"FUJIFILMCCD-RAW 0201FF", "a camera RAW file (RAF)"),
        (b"IIU\0\x18\0\0\0", "a camera RAW file (RW2)"),
        (b"IIRO\x08\0\0\0", "a camera RAW file (ORF)"),
        (b"MMOR\0\0\0\x08", "a camera RAW file (ORF)"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a camera RAW file (CR2)"),
        (_tiff("<", {0xFE: 1, 0x106: 2}, b"NIKON CORPORATION"), "a camera RAW file (NEF)"),
        (_tiff(">", {0xFE: 1, 0x106: 2}, b"NIKON CORPORATION"), "a camera RAW file (NEF)"),
        (_tiff(">", {0x106: 32803}, b"PENTAX K-1"), "a camera RAW file (PEF)"),
        (_tiff("<", {0xFE: 1, 0x106: 6}, b"SONY"), "a camera RAW file (ARW)"),
        (_tiff("<", {}, b"SONY"), "a camera RAW file (ARW)"),
        (_tiff("<", {0xFE: 1, 0x106: 2, 0xC612: 4}, b"SONY"), "a camera RAW file (DNG)"),
        (_tiff(">", {0x106: 2, 0xC612: 4}, b"Apple"), "a camera RAW file (DNG)"),
        (_tiff("<", {0x106: 32803}, b"EASTMAN KODAK COMPANY"), "a camera RAW file"),
        # Developed from a RAW file, and saved as an ordinary picture.
        (_tiff("<", {0x106: 2}, b"NIKON CORPORATION"), "a TIFF picture"),
        (_tiff("<", {0x106: 2, 0xFE: 0}, b"SONY"), "a TIFF picture"),
        (b"II*\0\xff\xff\xff\xff", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"II+\0\x08\0\0\0", "a TIFF picture"),
        (b"8BPS\0\x01", "a Photoshop document (PSD)"),
        (_ftyp(b"mif1", b"mif1", b"avif", b"miaf"), "an AVIF picture"),
        (_ftyp(b"mif1", b"mif1", b"heic"), "a HEIC picture"),
        (_ftyp(b"mif1"), "a HEIC picture"),
        (_ftyp(b"avis", b"msf1"), "an AVIF picture"),
        (_ftyp(b"qt  "), "a video"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", _COMPANION),
        (b"\0\x05\x16\0\0\x02\0\0", _COMPANION),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI" + bytes(8), "a PNG optimized for iPhone apps"),
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


@pytest.mark.parametrize(
    ("size_bytes", "cut", "said"),
    [
        (27 * 1024 * 1024, False, "It has 27 MB (28,311,552 bytes)"),
        (27_000_000, False, "It has 25.7 MB (27,000,000 bytes)"),
        (MAX_BYTES + 1, False, "It has 15 MB (15,728,641 bytes)"),
        (MAX_BYTES + 1, True, "It has more than 15 MB (15,728,640 bytes)"),
    ],
)
def test_what_is_too_large_is_told_with_its_real_size(
    pictures: SimpleNamespace, size_bytes: int, cut: bool, said: str
) -> None:
    fault = refusal(pictures.jpeg(), size_bytes=size_bytes, cut=cut)
    assert fault
    assert fault.message == f"{said}; Rekognition takes at most 15 MB (15,728,640 bytes)."


@pytest.mark.parametrize(
    ("head", "message", "hint"),
    [
        (_ftyp(b"crx "), "it looks like a camera RAW file (CR3).", "Export it as JPEG"),
        (b"\0\x05\x16\x07" + bytes(30), "(AppleDouble).", "the same name without ._ "),
        (b"GIF89a", "it looks like a GIF picture.", "Convert it to JPEG or PNG"),
        (b"", "it looks like an empty file.", "download it again"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI" + bytes(30),
            "It is a PNG optimized for iPhone apps, which Rekognition does not read.",
            "pngcrush -revert-iphone-optimizations",
        ),
    ],
)
def test_each_kind_has_its_way_to_a_picture(head: bytes, message: str, hint: str) -> None:
    fault = refusal(head)
    assert fault and fault.code == "unsupported_format"
    assert message in fault.message
    assert hint in fault.hint
    assert fault.hint.endswith(".")


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"\xff\xd8\xff", True),
        (b"\x89PNG\r\n\x1a\n", True),
        (b"GIF89a", True),
        (_ftyp(b"heic"), True),
        (_ftyp(b"crx "), True),
        (_ftyp(b"isom"), False),
        (b"", False),
        (b"<x:xmpmeta/>", False),
        (b"%PDF-1.7", False),
        (b"\0\0\0\x01Bud1", False),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", False),
        (b"\0\x05\x16\x07", False),
    ],
)
def test_what_is_no_picture_is_told_from_one_of_another_kind(head: bytes, is_one: bool) -> None:
    assert is_picture(head) is is_one
