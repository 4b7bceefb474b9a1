"""The sample pictures get exactly what is in them, and nothing that is not."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from PIL import Image, ImageFilter

Ask = Callable[..., dict[str, Any]]
Sample = Callable[[str], bytes]

# Read off the picture by eye, in pixels of 512: forehead to chin, cheek to cheek, and the two pupils.
FACE = (178, 62, 276, 188)
LEFT_EYE, RIGHT_EYE = (204, 100), (247, 102)

SIGN = [
    "Harbour Street Books",
    "Receipt No. 20417",
    "3 paperbacks 24.60 EUR",
    "1 city map 6.95 EUR",
    "Total paid 31.55 EUR",
]


def test_the_astronaut_is_a_face_and_so_a_head_and_a_person(ask: Ask, sample: Sample) -> None:
    found = ask("DetectLabels", sample("astronaut.jpg"))["Labels"]
    assert [label["Name"] for label in found] == ["Face", "Head", "Person"]
    assert [[parent["Name"] for parent in label["Parents"]] for label in found] == [
        ["Head", "Person"],
        ["Person"],
        [],
    ]
    assert found[2]["Aliases"] == [{"Name": "Human"}]
    assert all(label["Categories"] == [{"Name": "Person Description"}] for label in found)


def test_only_the_face_has_a_box_and_it_lies_on_the_face(ask: Ask, sample: Sample) -> None:
    face, head, person = ask("DetectLabels", sample("astronaut.jpg"))["Labels"]
    assert head["Instances"] == person["Instances"] == []
    (instance,) = face["Instances"]
    assert overlap(instance["BoundingBox"], FACE) > 0.6


def test_the_face_has_two_eyes_where_they_are(ask: Ask, sample: Sample) -> None:
    (face,) = ask("DetectFaces", sample("astronaut.jpg"), Attributes=["ALL"])["FaceDetails"]
    assert overlap(face["BoundingBox"], FACE) > 0.6
    assert face["Confidence"] > 90
    assert [mark["Type"] for mark in face["Landmarks"]] == ["eyeLeft", "eyeRight"]
    for mark, (x, y) in zip(face["Landmarks"], (LEFT_EYE, RIGHT_EYE), strict=True):
        assert abs(mark["X"] * 512 - x) < 8
        assert abs(mark["Y"] * 512 - y) < 8
    assert abs(face["Pose"]["Roll"]) < 8
    assert 0 < face["Quality"]["Sharpness"] <= 100


def test_what_cannot_be_found_is_left_out_and_not_made_up(ask: Ask, sample: Sample) -> None:
    (face,) = ask("DetectFaces", sample("astronaut.jpg"), Attributes=["ALL"])["FaceDetails"]
    assert sorted(face) == ["BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"]
    assert sorted(face["Pose"]) == ["Roll"]


@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
def test_without_an_object_model_cat_and_cup_are_not_named(ask: Ask, sample: Sample, name: str) -> None:
    answer = ask("DetectLabels", sample(name), MinConfidence=0)
    assert answer["Labels"] == []
    assert answer["LabelModelVersion"].startswith("imgpipe-local/")
    assert answer["LabelModelVersion"].endswith(";faces+text+qr;no-object-model")
    assert ask("DetectFaces", sample(name)) == {"FaceDetails": []}


@pytest.mark.parametrize("name", ["astronaut.jpg", "cat.jpg", "coffee.jpg"])
def test_the_photographs_have_no_text(ask: Ask, sample: Sample, name: str) -> None:
    answer = ask("DetectText", sample(name))
    assert answer["TextDetections"] == []
    assert answer["TextModelVersion"].startswith("imgpipe-local rapidocr ")


@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
@pytest.mark.parametrize("change", ["blurred", 90, 180, 270])
def test_blurred_and_turned_photographs_get_no_false_label(
    ask: Ask, sample: Sample, encoded: Callable[..., bytes], name: str, change: str | int
) -> None:
    picture: Image.Image = Image.open(BytesIO(sample(name)))
    if isinstance(change, int):
        picture = picture.rotate(change, expand=True)
    else:
        picture = picture.filter(ImageFilter.GaussianBlur(2))
    assert ask("DetectLabels", encoded(picture, "JPEG", quality=90), MinConfidence=0)["Labels"] == []


def test_the_sign_is_read_to_the_letter(ask: Ask, sample: Sample) -> None:
    found = ask("DetectText", sample("sign.png"))["TextDetections"]
    lines = [entry for entry in found if entry["Type"] == "LINE"]
    assert [entry["DetectedText"] for entry in lines] == SIGN
    for line in lines:
        words = [entry["DetectedText"] for entry in found if entry.get("ParentId") == line["Id"]]
        assert words == line["DetectedText"].split()
    assert [entry["Id"] for entry in found] == list(range(len(found)))
    assert all("ParentId" not in line for line in lines)


def test_each_word_lies_on_ink_and_beside_its_neighbour(ask: Ask, sample: Sample) -> None:
    found = ask("DetectText", sample("sign.png"))["TextDetections"]
    harbour, street, books = (entry for entry in found if entry.get("ParentId") == 0)
    edges = [word["Geometry"]["BoundingBox"] for word in (harbour, street, books)]
    for left, right in pairwise(edges):
        assert left["Left"] + left["Width"] <= right["Left"] + 0.005
    # The printed words start at 63, 296 and 467 of 900 pixels.
    assert [round(box["Left"] * 900 / 10) for box in edges] == pytest.approx([6.3, 29.6, 46.7], abs=1.2)


def test_the_sign_is_labelled_text(ask: Ask, sample: Sample) -> None:
    (label,) = ask("DetectLabels", sample("sign.png"))["Labels"]
    assert label == {
        "Name": "Text",
        "Confidence": label["Confidence"],
        "Instances": [],
        "Parents": [],
        "Aliases": [],
        "Categories": [{"Name": "Text and Documents"}],
    }


@pytest.mark.parametrize("operation", ["DetectLabels", "DetectFaces", "DetectText"])
@pytest.mark.parametrize("name", ["astronaut.jpg", "sign.png"])
def test_answers_have_the_shape_of_the_service_model(
    ask: Ask, sample: Sample, operation: str, name: str
) -> None:
    """botocore's own model, read as a validator: no unknown member, every type right."""
    features = {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]} if operation == "DetectLabels" else {}
    answer = ask(operation, sample(name), **features)
    shape = Session().get_service_model("rekognition").operation_model(operation).output_shape
    assert shape is not None
    assert not ParamValidator().validate(answer, shape).has_errors()
    assert set(answer) <= set(shape.members)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_text_is_read_in_any_direction(
    ask: Ask, sample: Sample, encoded: Callable[..., bytes], turn: int
) -> None:
    turned = Image.open(BytesIO(sample("sign.png"))).convert("L").rotate(turn, expand=True)
    found = ask("DetectText", encoded(turned))["TextDetections"]
    lines = {entry["DetectedText"]: entry for entry in found if entry["Type"] == "LINE"}
    assert sorted(lines) == sorted(SIGN)
    # The polygon starts where reading starts.
    first = lines[SIGN[0]]["Geometry"]["Polygon"][0]
    assert {90: first["Y"] > 0.8, 180: first["X"] > 0.8, 270: first["Y"] < 0.2}[turn]


def overlap(box: dict[str, float], region: tuple[int, int, int, int]) -> float:
    """Intersection over union of a box and a region given in pixels of 512."""
    left, top, right, bottom = (edge / 512 for edge in region)
    across = min(right, box["Left"] + box["Width"]) - max(left, box["Left"])
    down = min(bottom, box["Top"] + box["Height"]) - max(top, box["Top"])
    shared = max(0.0, across) * max(0.0, down)
    return shared / ((right - left) * (bottom - top) + box["Width"] * box["Height"] - shared)
