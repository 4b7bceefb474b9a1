"""Converting a picture of any kind: the same pixels, upright, in sRGB, within Rekognition's limits."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.converting import kinds
from imgpipe_cli.pictures.converting.decoding import NotDecoded, decoded
from imgpipe_cli.pictures.converting.encoding import encoded
from tests.support import photos
from tests.support.exhaustive import cases
from tests.support.heic.make import STORED

UPRIGHT = photos.cat()
# Mean difference of a channel, of 255; what is turned the wrong way differs by more than 30.
ALIKE = 6.0


def difference(image: Image.Image, other: Image.Image = UPRIGHT) -> float:
    assert (image.mode, image.size) == ("RGB", other.size)
    return float(np.abs(np.asarray(image).astype(int) - np.asarray(other).astype(int)).mean())


def read(data: bytes) -> Image.Image:
    """As it is done before sending: recognized, decoded, and seen as what is sent."""
    kind = kinds.kind_of(data[:65_536])
    assert kind is not None
    jpeg = encoded(decoded(io.BytesIO(data), kind).image)
    assert functions.picture.refusal(jpeg) is None
    return Image.open(io.BytesIO(jpeg))


@pytest.mark.parametrize("kind", photos.MADE)
def test_each_kind_is_upright_in_all_eight_orientations(kind: str) -> None:
    assert {kinds.kind_of(photos.MADE[kind](turn)[:65_536]) for turn in photos.ORIENTATIONS} == {kind}
    far = {turn: difference(read(photos.MADE[kind](turn))) for turn in photos.ORIENTATIONS}
    assert {turn: found for turn, found in far.items() if found > ALIKE} == {}


def test_what_is_turned_the_wrong_way_would_be_noticed() -> None:
    ways = [way for way, _, _ in STORED.values() if way is not None]
    wrong = [UPRIGHT.transpose(way).resize(UPRIGHT.size) for way in ways]
    assert min(difference(one) for one in wrong) > 3 * ALIKE


def test_a_cr3_without_the_full_picture_has_its_preview() -> None:
    assert difference(read(photos.cr3(6, in_track=False))) < ALIKE


def test_an_orientation_that_only_xmp_tells_turns_nothing() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    content = io.BytesIO()
    UPRIGHT.save(content, "WEBP", xmp=xmp)
    assert difference(read(content.getvalue())) < ALIKE


def test_a_bmp_and_the_first_frame_of_a_gif_are_read() -> None:
    assert difference(read(photos.bmp())) < ALIKE
    assert difference(read(photos.gif())) < 2 * ALIKE  # it has 256 colors


def tiff(image: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, "TIFF", **options)
    return content.getvalue()


def sixteen_bit_png(color: bool) -> bytes:
    """Pillow writes no PNG of 16 bits in colors."""
    pixels = np.asarray(UPRIGHT if color else UPRIGHT.convert("L")).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", *UPRIGHT.size, 16, 2 if color else 0, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    found = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks.items():
        found += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return found


@pytest.mark.parametrize("color", [True, False], ids=["colors", "gray"])
def test_sixteen_bits_a_channel_become_eight(color: bool) -> None:
    data = sixteen_bit_png(color)
    assert kinds.to_convert(data, functions.picture.refusal(data)) == "PNG"
    expected = UPRIGHT if color else UPRIGHT.convert("L").convert("RGB")
    assert difference(read(data).convert("RGB"), expected) < ALIKE
    gray = tiff(Image.fromarray(np.asarray(UPRIGHT.convert("L")).astype(np.uint16) * 257))
    assert difference(read(gray).convert("RGB"), UPRIGHT.convert("L").convert("RGB")) < ALIKE


def test_cmyk_becomes_rgb() -> None:
    data = photos.jpeg(6, image=UPRIGHT.convert("CMYK"))
    assert kinds.to_convert(data, functions.picture.refusal(data)) == "JPEG"
    assert difference(read(data)) < 2 * ALIKE


def test_colors_of_another_profile_become_those_of_srgb() -> None:
    """Red and green change places in this one, so that nothing else could give the right colors."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name in (b"rXYZ", b"gXYZ"):
        assert srgb.count(name) == 1
    red, green = srgb.index(b"rXYZ"), srgb.index(b"gXYZ")
    srgb[red : red + 4], srgb[green : green + 4] = b"gXYZ", b"rXYZ"
    swapped = bytes(srgb).replace("sRGB".encode("utf-16-be"), "Wide".encode("utf-16-be"))
    red_band, green_band, blue_band = UPRIGHT.split()
    stored = Image.merge("RGB", (green_band, red_band, blue_band))
    assert difference(read(tiff(stored, icc_profile=swapped))) < ALIKE
    assert difference(read(tiff(UPRIGHT, icc_profile=swapped[:200]))) < ALIKE  # damaged: as none


def test_what_is_transparent_shows_white() -> None:
    image = UPRIGHT.convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    content = io.BytesIO()
    image.save(content, "WEBP", lossless=True)
    assert difference(read(content.getvalue()), Image.new("RGB", UPRIGHT.size, "white")) < 1


@pytest.mark.parametrize(
    ("form", "size", "expected"),
    [
        ("JPEG", (12_000, 300), (10_000, 250)),
        ("JPEG", (21_000, 400), (10_000, 190)),
        ("PNG", (300, 10_001), (300, 10_000)),
    ],
)
def test_a_side_over_the_limit_is_shrunk_to_it(
    form: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    content = io.BytesIO()
    Image.new("RGB", size, "teal").save(content, form)
    data = content.getvalue()
    assert kinds.to_convert(data, functions.picture.refusal(data)) == form
    found = decoded(io.BytesIO(data), form)
    assert (found.image.size, found.is_smaller) == (expected, True)


def noise(side: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 255, (side, side, 3), dtype=np.uint8))


def test_the_quality_is_as_high_as_fits() -> None:
    image = noise(300)
    sizes = {}
    for quality in (70, 71):
        content = io.BytesIO()
        image.save(content, "JPEG", quality=quality)
        sizes[quality] = len(content.getvalue())
    assert len(encoded(image, max_bytes=sizes[71] - 1)) == sizes[70]
    assert len(encoded(image, max_bytes=sizes[71])) == sizes[71]


def test_what_does_not_fit_in_any_quality_gets_smaller() -> None:
    found = encoded(noise(300), max_bytes=20_000)
    assert len(found) <= 20_000
    assert 80 <= Image.open(io.BytesIO(found)).width < 300


def test_nothing_but_the_pixels_is_kept() -> None:
    image = UPRIGHT.copy()
    image.info.update(comment=b"at home", exif=b"Exif\0\0x", xmp=b"y", icc_profile=b"z")
    assert Image.open(io.BytesIO(encoded(image))).info.keys() <= {
        "jfif",
        "jfif_version",
        "jfif_unit",
        "jfif_density",
    }


def bomb() -> bytes:
    """A TIFF of a few bytes that says it has 10^10 pixels."""
    content = tiff(Image.new("L", (10, 10)))
    at = {0x0100: 100_000, 0x0101: 100_000}
    data = bytearray(content)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, entry)
        if tag in at:
            struct.pack_into("<HII", data, entry + 2, 4, 1, at[tag])
    return bytes(data)


def test_nothing_is_decoded_before_the_number_of_pixels_is_known() -> None:
    with pytest.raises(NotDecoded, match="10,000 million pixels") as raised:
        decoded(io.BytesIO(bomb()), "TIFF", before=lambda _: pytest.fail("it goes on"))
    assert raised.value.code == "too_many_pixels"
    asked: list[int] = []
    decoded(io.BytesIO(photos.MADE["WebP"](6)), "WebP", asked.append)
    assert asked == [UPRIGHT.width * UPRIGHT.height] == [38_400] and asked[0] < kinds.MAX_PIXELS


LOOPS = {
    "a directory that follows itself": struct.pack("<2sHIHI", b"II", 42, 8, 0, 8),
    "directories below themselves": struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x014A, 4, 1, 8, 8),
    "65,535 entries": struct.pack("<2sHIH", b"II", 42, 8, 65_535) + b"\xff" * 65_535 * 12,
    "a directory outside": struct.pack("<2sHI", b"II", 42, 0xFFFF_FFFF),
    "no directory": b"II*\0",
    "a place that ends behind the file": struct.pack(
        "<2sHIHHHIIHHIII", b"II", 42, 8, 2, 0x0201, 4, 1, 50, 0x0202, 4, 1, 0xFFFF_FFFF, 0
    ),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("kind", ["DNG", "CR3", "RAF"])
def test_a_raw_file_that_leads_nowhere_holds_no_preview(name: str, kind: str) -> None:
    with pytest.raises(NotDecoded) as raised:
        decoded(io.BytesIO(LOOPS[name]), kind)
    assert raised.value.code == "no_preview"


def test_boxes_without_end_end() -> None:
    endless = struct.pack(">I4s", 0, b"moov") * 4000 + struct.pack(">I4sQ", 1, b"trak", 2**63)
    for data in (endless, struct.pack(">I4s", 8, b"free") * 5000, struct.pack(">I4s", 4, b"moov") * 10):
        with pytest.raises(NotDecoded, match="no preview"):
            decoded(io.BytesIO(data), "CR3")


ALL: dict[str, Callable[[int], bytes]] = {
    **photos.MADE,
    "GIF": lambda _: photos.gif(),
    "BMP": lambda _: photos.bmp(),
}


def _damaged() -> list[tuple[str, str, int]]:
    found = []
    for kind in ALL:
        found += [(kind, "cut", part) for part in (9, 5, 2)]
        found += [(kind, "changed", seed) for seed in range(12)]
    return found


@pytest.mark.parametrize(("kind", "how", "number"), cases(_damaged(), keep=26))
def test_a_damaged_file_is_a_picture_or_has_a_reason(kind: str, how: str, number: int) -> None:
    data = bytearray(ALL[kind](6))
    if how == "cut":
        del data[len(data) * number // 10 :]
    else:
        spread = np.random.default_rng(number)
        for place in spread.integers(0, len(data), 40):
            data[place] = spread.integers(0, 256)
    try:
        found = decoded(io.BytesIO(bytes(data)), kind)
    except NotDecoded as error:
        assert error.code in ("corrupt", "no_preview", "too_many_pixels", "unsupported_format")
        assert str(error).isprintable() and len(str(error)) < 200
    else:
        assert found.image.mode == "RGB"
