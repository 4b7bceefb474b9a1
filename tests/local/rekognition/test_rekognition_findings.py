"""Made pictures: codes, colors, blank and noisy ones, many words; and the rules that have no picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw, ImageFont

from imgpipe_cli.local.rekognition.colors import SIMPLE
from imgpipe_cli.local.rekognition.geometry import Box
from imgpipe_cli.local.rekognition.labels import Sighting, Wanted, labels
from imgpipe_cli.local.rekognition.taxonomy import TAXONOMY

Ask = Callable[..., dict[str, Any]]
Encoded = Callable[..., bytes]


def written(lines: list[str], size: tuple[int, int] = (900, 700), font: int = 28) -> Image.Image:
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for index, line in enumerate(lines):
        pen.text((20, 15 + index * font * 1.7), line, font=ImageFont.load_default(size=font), fill="black")
    return page


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (480, 640, 3), dtype=np.uint8))


@pytest.mark.parametrize("color", ["black", "white", "grey", "teal"])
def test_a_blank_picture_has_nothing_in_it(look: Ask, encoded: Encoded, color: str) -> None:
    blank = encoded(Image.new("RGB", (300, 200), color))
    assert look("DetectLabels", blank)["Labels"] == []
    assert look("DetectFaces", blank)["FaceDetails"] == []
    assert look("DetectText", blank)["TextDetections"] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_has_nothing_in_it(look: Ask, encoded: Encoded, seed: int) -> None:
    assert look("DetectLabels", encoded(noise(seed)))["Labels"] == []


@pytest.mark.parametrize("size", [(10_000, 80), (80, 10_000)])
def test_strips_are_analysed_like_any_other_picture(
    look: Ask, encoded: Encoded, size: tuple[int, int]
) -> None:
    assert look("DetectLabels", encoded(Image.new("L", size, 200)))["Labels"] == []
    assert look("DetectFaces", encoded(Image.new("L", size, 200)))["FaceDetails"] == []


def test_a_qr_code_is_found_where_it_is(ask: Ask, encoded: Encoded) -> None:
    code = cv2.QRCodeEncoder.create().encode("https://example.com/a")
    module = 6  # pixels; the encoder draws a margin of 2 modules, which is not part of the code
    side = module * len(code)
    picture = Image.new("RGB", (640, 400), "lightgrey")
    picture.paste(Image.fromarray(code).resize((side, side), Image.Resampling.NEAREST), (380, 100))
    found = ask("DetectLabels", encoded(picture))["Labels"]
    assert [label["Name"] for label in found] == ["QR Code"]
    box = found[0]["Instances"][0]["BoundingBox"]
    within = side - 4 * module
    expected = {"Left": 392 / 640, "Top": 112 / 400, "Width": within / 640, "Height": within / 400}
    assert box == pytest.approx(expected, abs=0.01)


def test_what_looks_like_a_qr_code_and_cannot_be_read_is_none(ask: Ask, encoded: Encoded) -> None:
    code = cv2.QRCodeEncoder.create().encode("https://example.com/a")
    code[11:20, 11:20] = 255
    picture = Image.new("RGB", (640, 400), "white")
    picture.paste(Image.fromarray(code).resize((174, 174), Image.Resampling.NEAREST), (380, 100))
    assert cv2.QRCodeDetector().detect(np.asarray(picture.convert("L")))[0]
    assert ask("DetectLabels", encoded(picture))["Labels"] == []


@pytest.mark.parametrize("text", ["EXIT", "NO", "STOP", "info@example.com"])
def test_short_true_text_passes_the_rule_against_false_text(ask: Ask, encoded: Encoded, text: str) -> None:
    found = ask("DetectText", encoded(written([text], (600, 200), 64)))["TextDetections"]
    assert [entry["DetectedText"] for entry in found] == [text, text]


def test_at_most_100_words_are_reported(ask: Ask, encoded: Encoded) -> None:
    page = written(["seven small words stand on this line"] * 16, (900, 780), 26)
    found = ask("DetectText", encoded(page))["TextDetections"]
    assert sum(entry["Type"] == "WORD" for entry in found) == 100
    parents = {entry["ParentId"] for entry in found if entry["Type"] == "WORD"}
    assert parents == {entry["Id"] for entry in found if entry["Type"] == "LINE"}


def test_colors_are_css_colors_by_their_share(ask: Ask, encoded: Encoded) -> None:
    picture = Image.new("RGB", (200, 100), "darkslategrey")
    picture.paste("gold", (150, 0, 200, 100))
    answer = ask("DetectLabels", encoded(picture), Features=["IMAGE_PROPERTIES"])
    assert "Labels" not in answer
    assert answer["LabelModelVersion"]
    slate, gold = answer["ImageProperties"]["DominantColors"]
    assert slate == {
        **{"Red": 47, "Green": 79, "Blue": 79, "HexCode": "#2f4f4f", "PixelPercent": 75.0},
        **{"CSSColor": "darkslategrey", "SimplifiedColor": "grey"},
    }
    assert (gold["CSSColor"], gold["SimplifiedColor"], gold["PixelPercent"]) == ("gold", "yellow", 25.0)


@pytest.mark.parametrize(("wanted", "given"), [(0, 0), (3, 3), (20, 8)])
def test_the_number_of_colors_can_be_chosen(ask: Ask, encoded: Encoded, wanted: int, given: int) -> None:
    picture = Image.new("RGB", (160, 100))
    for index, color in enumerate(("red", "lime", "blue", "gold", "white", "black", "purple", "cyan")):
        picture.paste(color, (index * 20, 0, index * 20 + 20, 100))
    settings = {"ImageProperties": {"MaxDominantColors": wanted}}
    answer = ask("DetectLabels", encoded(picture), Features=["IMAGE_PROPERTIES"], Settings=settings)
    assert len(answer["ImageProperties"]["DominantColors"]) == given


def test_quality_knows_dark_from_bright_and_sharp_from_flat(ask: Ask, encoded: Encoded) -> None:
    def quality(picture: Image.Image) -> dict[str, float]:
        answer = ask("DetectLabels", encoded(picture), Features=["IMAGE_PROPERTIES"])
        found: dict[str, float] = answer["ImageProperties"]["Quality"]
        return found

    assert quality(Image.new("L", (100, 100), 0)) == {"Brightness": 0, "Sharpness": 0, "Contrast": 0}
    assert quality(Image.new("L", (100, 100), 255))["Brightness"] == pytest.approx(100)
    halves = Image.new("L", (100, 100), 0)
    halves.paste(255, (0, 0, 50, 100))
    assert quality(halves)["Contrast"] == pytest.approx(100, abs=0.1)
    assert quality(noise(3))["Sharpness"] > 95


def test_instances_have_colors_only_when_both_features_are_asked_for(
    look: Ask, sample: Callable[[str], bytes]
) -> None:
    both = look("DetectLabels", sample("astronaut.jpg"), Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"])
    (with_colors,) = both["Labels"][0]["Instances"]
    assert with_colors["DominantColors"]
    (without,) = look("DetectLabels", sample("astronaut.jpg"))["Labels"][0]["Instances"]
    assert "DominantColors" not in without


def test_every_css_color_has_one_of_twelve_simple_names() -> None:
    grouped = [css for group in SIMPLE.values() for css in group.split()]
    assert len(SIMPLE) == 12
    assert len(set(grouped)) == len(grouped)
    values = {name: ImageColor.getrgb(name) for name in ImageColor.colormap}
    assert {values[css] for css in grouped} == set(values.values())


def test_every_ancestor_in_the_taxonomy_is_known_and_lists_are_sorted() -> None:
    for kind in TAXONOMY.values():
        assert list(kind.parents) == sorted(kind.parents)
        assert set(kind.parents) <= set(TAXONOMY)


def test_an_ancestor_is_as_sure_as_its_surest_descendant_and_keeps_its_own_boxes() -> None:
    box = Box(0.1, 0.1, 0.2, 0.3)
    seen = [Sighting("Face", 70.0), Sighting("Face", 90.0), Sighting("Person", 60.0, box)]
    face, head, person = labels(seen, Wanted())
    assert [face["Confidence"], head["Confidence"], person["Confidence"]] == [90.0, 90.0, 90.0]
    assert (head["Instances"], len(person["Instances"])) == ([], 1)
    assert person["Instances"][0]["Confidence"] == 60.0


def test_a_name_outside_the_taxonomy_has_empty_lists() -> None:
    (label,) = labels([Sighting("Teapot", 80.0)], Wanted())
    assert (label["Parents"], label["Aliases"], label["Categories"]) == ([], [], [])
