"""Boxes and names on pictures: in their place whatever the orientation, legible on any background."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageColor

from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures import annotating
from imgpipe_cli.pictures.annotating import annotate, file_name
from tests.support.api_server import item

# What a decoder has to do for each EXIF orientation, undone.
TURNED: dict[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
BOX = {"Left": 0.5, "Top": 0.25, "Width": 0.25, "Height": 0.5}
LABELS = [{"Name": "Cat", "Confidence": 98.0, "Instances": [{"BoundingBox": BOX, "Confidence": 97.0}]}]
COLOR = ImageColor.getrgb(annotating._COLORS[0])


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    content = BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def drawn(data: bytes, folder: Path, **found: Any) -> Image.Image:
    path = folder / "drawn.png"
    annotate(data, item("cat.jpg", **(found or {"labels": LABELS})), path)
    return Image.open(path)


def near(picture: Image.Image, at: tuple[float, float], color: Any) -> bool:
    """Whether this color is within a few pixels."""
    x, y = round(at[0]), round(at[1])
    part = picture.crop((x - 3, y - 3, x + 4, y + 4)).convert("RGB")
    pixels = zip(*[iter(part.tobytes())] * 3, strict=True)
    return any(max(abs(a - b) for a, b in zip(one, color, strict=True)) < 40 for one in pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_in_their_place_in_every_orientation(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (400, 200), "gray")
    upright.paste("blue", (0, 0, 200, 100))
    turn = TURNED[orientation]
    stored = upright.transpose(turn) if turn is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = drawn(encoded(stored, exif=exif), tmp_path)
    assert picture.size == upright.size
    assert near(picture, (50, 150), (128, 128, 128)) and near(picture, (20, 20), (0, 0, 254))
    left, top, right, bottom = 0.5 * 399, 0.25 * 199, 0.75 * 399, 0.75 * 199
    for at in ((left, 120), (right, 120), (250, bottom), (290, top)):
        assert near(picture, at, COLOR), at
    assert not near(picture, (250, 100), COLOR)


@pytest.mark.parametrize("ground", ["white", "black", annotating._COLORS[0], "gray"])
def test_a_name_can_be_read_on_any_background(tmp_path: Path, ground: str) -> None:
    picture = drawn(encoded(Image.new("RGB", (400, 300), ground), "PNG"), tmp_path).convert("RGB")
    # The plate lies above the box: white letters on black.
    left, top = 0.5 * 399, 0.25 * 299
    plate = picture.crop((round(left) + 2, round(top) - 14, round(left) + 60, round(top) - 4))
    shades = plate.convert("L").histogram()
    assert sum(shades[:40]) > 100 and sum(shades[215:]) > 50
    assert near(picture, (left, 200), COLOR) and near(picture, (left, 200), (0, 0, 0))


def test_names_hide_no_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plates: list[Any] = []
    place: Callable[..., Any] = annotating._place

    def placed(*arguments: Any) -> Any:
        plates.append(place(*arguments))
        return plates[-1]

    monkeypatch.setattr(annotating, "_place", placed)
    labels = [{**LABELS[0], "Name": f"Label {number}"} for number in range(8)]
    drawn(encoded(Image.new("RGB", (600, 400))), tmp_path, labels=labels)
    assert len(plates) == 8
    assert not [
        (one, other)
        for one in plates
        for other in plates
        if one is not other and annotating._overlap(one, other)
    ]
    assert all(min(plate) >= 0 and plate[2] < 600 and plate[3] < 400 for plate in plates)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ({"Left": -0.5, "Top": -0.5, "Width": 3, "Height": 3}, (80, 80)),
        ({"Left": 0.99, "Top": 0.99, "Width": 0.5, "Height": 0.5}, (300, 200)),
        ({"Left": 0.5, "Top": 0.5, "Width": 0.0, "Height": 0.0}, (300, 200)),
        ({"Left": 2, "Top": 2, "Width": -1, "Height": -1}, (300, 200)),
    ],
)
def test_boxes_beyond_the_picture_are_drawn_within(tmp_path: Path, box: Any, size: tuple[int, int]) -> None:
    labels = [
        {"Name": "Cat" * 99, "Confidence": 98.0, "Instances": [{"BoundingBox": box, "Confidence": 97.0}]}
    ]
    assert drawn(encoded(Image.new("RGB", size)), tmp_path, labels=labels).size == size


def test_faces_and_lines_of_text_are_drawn_too(tmp_path: Path) -> None:
    line = {"DetectedText": "Grüße", "Confidence": 90.0, "Type": "LINE", "Geometry": {"BoundingBox": BOX}}
    word = {**line, "Type": "WORD"}
    other = {**line, "DetectedText": "日本"}
    face = {"Confidence": 99.0, "BoundingBox": BOX}
    whole = item("a", labels=[], faces=[face], text=[line, word, other])
    texts = [mark.text for mark in annotating._marks(whole, (100, 100))]
    assert texts == ["Face 99 %", "Gru?e 90 %", "Text 3 90 %"]
    # A label that shows the same face is enough.
    both = item("a", labels=[{**LABELS[0], "Name": "Face"}], faces=[face])
    assert [mark.text for mark in annotating._marks(both, (100, 100))] == ["Face 97 %"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "I;16", "1", "CMYK", "YCbCr"])
def test_every_kind_of_pixels(tmp_path: Path, mode: str) -> None:
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    ground = Image.new("RGB", (100, 100), (200, 200, 200))
    if mode == "I;16":
        stored = Image.new("I;16", (100, 100), 200 * 256)
    elif mode in ("RGBA", "LA"):
        stored = Image.new(mode, (100, 100))
    else:
        stored = ground.convert(mode)
    picture = drawn(encoded(stored, kind), tmp_path)
    assert picture.mode == "RGB"
    shade = 255 if mode in ("RGBA", "LA", "1") else 200
    assert mode == "1" or near(picture, (10, 90), (shade,) * 3)


def test_metadata_stays_behind_and_the_profile_goes_along(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    data = encoded(Image.new("RGB", (100, 100)), exif=exif, icc_profile=b"profile" * 20, comment=b"mine")
    annotate(data, item("a", labels=LABELS), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as picture:
        assert not picture.getexif()
        assert picture.info["icc_profile"] == b"profile" * 20
        assert picture.info["comment"] == b"Drawn by imgpipe"


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_file_that_imgpipe_did_not_draw_is_not_touched(tmp_path: Path, ending: str) -> None:
    data = encoded(Image.new("RGB", (100, 100)))
    path = tmp_path / f"photo{ending}"
    for _ in range(2):
        assert annotate(data, item("photo", labels=LABELS), path) == 1
    path.write_bytes(data)
    with pytest.raises(Problem, match="did not draw it"):
        annotate(data, item("photo", labels=LABELS), path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(Image.new("RGB", (100, 100)))[:300], b"GIF89a"])
def test_what_cannot_be_decoded_is_a_problem(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Problem) as raised:
        annotate(data, item("a", labels=LABELS), tmp_path / "a.jpg")
    assert raised.value.code == "not_drawn"
    assert list(tmp_path.iterdir()) == []


def test_a_header_that_claims_too_much_costs_nothing(tmp_path: Path) -> None:
    small = encoded(Image.new("RGB", (100, 100)), "PNG")
    huge = small[:16] + (50_000).to_bytes(4, "big") * 2 + small[24:]
    with pytest.raises(Problem, match="too large to draw on"):
        annotate(huge, item("a", labels=LABELS), tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [
        ("a/b c.JPG", "image/jpeg", "a_b c.jpg"),
        ("../../etc/passwd", None, "_.._etc_passwd.jpg"),
        ("x.png", "image/png", "x.png"),
        ("IMG_1.HEIC.jpg", "image/jpeg", "IMG_1.HEIC.jpg"),
        ("nul.jpg", "image/jpeg", "_nul.jpg"),
        ("a:b\\c\0\n?", "image/jpeg", "a_b_c___.jpg"),
        ("...", None, "_.jpg"),
        ("ü" * 200, None, f"{'ü' * 75}.jpg"),
        ("one.jpg", None, "one-3.jpg"),
    ],
)
def test_every_key_has_a_name_in_one_folder(key: str, kind: str | None, name: str) -> None:
    assert file_name(key, kind, {"one.jpg", "one-2.jpg"}) == name


def test_without_pillow_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.ImageFont", None)
    with pytest.raises(Problem, match="needs Pillow") as raised:
        annotating.check()
    assert ".[photos]" in raised.value.hint
