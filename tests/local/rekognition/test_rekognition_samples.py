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

from imgpipe_cli.local.models.catalogue import CLASSES, FACES, OBJECTS

Ask = Callable[..., dict[str, Any]]
Sample = Callable[[str], bytes]

# Read off the picture by eye, in pixels of 512: forehead to chin, cheek to cheek, and the two pupils.
FACE = (178, 62, 276, 188)
PERSON = (20, 14, 366, 512)
POINTS = {
    "eyeLeft": (204, 100),
    "eyeRight": (247, 102),
    "nose": (224, 124),
    "mouth": (226, 142),
    "earLeft": (182, 112),
    "earRight": (271, 116),
}

SIGN = [
    "Harbour Street Books",
    "Receipt No. 20417",
    "3 paperbacks 24.60 EUR",
    "1 city map 6.95 EUR",
    "Total paid 31.55 EUR",
]


def named(answer: dict[str, Any]) -> dict[str, float]:
    return {label["Name"]: label["Confidence"] for label in answer["Labels"]}


def test_the_astronaut_is_a_face_and_so_a_head_and_a_person(look: Ask, sample: Sample) -> None:
    found = look("DetectLabels", sample("astronaut.jpg"))["Labels"]
    assert [label["Name"] for label in found] == ["Face", "Head", "Person"]
    assert [[parent["Name"] for parent in label["Parents"]] for label in found] == [
        ["Head", "Person"],
        ["Person"],
        [],
    ]
    assert found[2]["Aliases"] == [{"Name": "Human"}]
    assert all(label["Categories"] == [{"Name": "Person Description"}] for label in found)


def test_face_and_person_have_a_box_each_and_none_is_made_up_for_the_head(look: Ask, sample: Sample) -> None:
    face, head, person = look("DetectLabels", sample("astronaut.jpg"))["Labels"]
    assert head["Instances"] == []
    assert overlap(face["Instances"][0]["BoundingBox"], FACE) > 0.6
    assert overlap(person["Instances"][0]["BoundingBox"], PERSON) > 0.6


def test_the_face_has_six_points_where_they_are(look: Ask, sample: Sample) -> None:
    (face,) = look("DetectFaces", sample("astronaut.jpg"), Attributes=["ALL"])["FaceDetails"]
    assert overlap(face["BoundingBox"], FACE) > 0.6
    assert face["Confidence"] > 90
    assert [mark["Type"] for mark in face["Landmarks"]] == list(POINTS)
    for mark in face["Landmarks"]:
        x, y = POINTS[mark["Type"]]
        assert (mark["X"] * 512, mark["Y"] * 512) == pytest.approx((x, y), abs=10), mark
    assert abs(face["Pose"]["Roll"]) < 8
    assert abs(face["Pose"]["Yaw"]) < 15
    assert 0 < face["Quality"]["Sharpness"] <= 100


@pytest.mark.parametrize("turn", [-60, -30, 30, 60])
def test_a_tilted_face_is_found_and_its_roll_is_the_tilt(
    look: Ask, sample: Sample, encoded: Callable[..., bytes], turn: int
) -> None:
    picture = Image.open(BytesIO(sample("astronaut.jpg")))
    tilted = picture.rotate(-turn, expand=True, fillcolor="grey", resample=Image.Resampling.BICUBIC)
    (face,) = look("DetectFaces", encoded(tilted))["FaceDetails"]
    assert face["Pose"]["Roll"] == pytest.approx(turn, abs=12)


def test_a_mirrored_face_looks_the_other_way(
    look: Ask, sample: Sample, encoded: Callable[..., bytes]
) -> None:
    picture = Image.open(BytesIO(sample("astronaut.jpg"))).rotate(8, fillcolor="grey")
    yaws, rolls = [], []
    for mirrored in (picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
        (face,) = look("DetectFaces", encoded(mirrored))["FaceDetails"]
        yaws.append(face["Pose"]["Yaw"])
        rolls.append(face["Pose"]["Roll"])
    assert yaws[0] == pytest.approx(-yaws[1], abs=12)
    assert rolls[0] == pytest.approx(-rolls[1], abs=8)


def test_a_face_is_found_from_the_size_that_the_documentation_names(
    look: Ask, sample: Sample, encoded: Callable[..., bytes]
) -> None:
    """A person of 120 pixels in a picture of 640 x 480: the face has 30."""
    person = Image.open(BytesIO(sample("astronaut.jpg"))).resize((150, 150))
    scene = Image.new("RGB", (640, 480), "lightgrey")
    scene.paste(person, (240, 330))
    (face,) = look("DetectFaces", encoded(scene))["FaceDetails"]
    assert face["BoundingBox"]["Left"] * 640 == pytest.approx(240 + 178 * 150 / 512, abs=6)


def test_a_group_has_a_face_for_each(look: Ask, sample: Sample, encoded: Callable[..., bytes]) -> None:
    person = Image.open(BytesIO(sample("astronaut.jpg"))).resize((320, 320))
    group = Image.new("RGB", (960, 320))
    for place in range(3):
        group.paste(person, (320 * place, 0))
    faces = look("DetectFaces", encoded(group))["FaceDetails"]
    assert len(faces) == 3
    assert sorted(int(face["BoundingBox"]["Left"] * 3) for face in faces) == [0, 1, 2]


def test_what_cannot_be_found_is_left_out_and_not_made_up(look: Ask, sample: Sample) -> None:
    (face,) = look("DetectFaces", sample("astronaut.jpg"), Attributes=["ALL"])["FaceDetails"]
    assert sorted(face) == ["BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"]
    assert sorted(face["Pose"]) == ["Roll", "Yaw"]


def test_the_cat_is_a_cat_and_an_animal_with_its_box_and_no_face(look: Ask, sample: Sample) -> None:
    answer = look("DetectLabels", sample("cat.jpg"))
    labels = named(answer)
    assert labels["Cat"] > 70
    assert labels["Animal"] >= labels["Cat"]
    assert set(labels) <= {"Animal", "Cat", "Mammal", "Pet"}
    (cat,) = (label for label in answer["Labels"] if label["Name"] == "Cat")
    # The detector alone is less sure than the threshold asks for, and its box is there all the same.
    (instance,) = cat["Instances"]
    assert instance["Confidence"] < 70 < cat["Confidence"]
    assert look("DetectFaces", sample("cat.jpg")) == {"FaceDetails": []}


def test_a_box_that_is_less_sure_than_the_threshold_stays_with_its_label(look: Ask, sample: Sample) -> None:
    answer = look("DetectLabels", sample("cat.jpg"), MinConfidence=80)
    (cat,) = (label for label in answer["Labels"] if label["Name"] == "Cat")
    assert len(cat["Instances"]) == 1


def test_the_coffee_is_a_cup_and_a_beverage(look: Ask, sample: Sample) -> None:
    labels = named(look("DetectLabels", sample("coffee.jpg"), MinConfidence=70))
    assert {"Cup", "Coffee Cup", "Coffee", "Beverage"} <= set(labels)
    assert set(labels) <= {"Cup", "Coffee Cup", "Coffee", "Beverage", "Dining Table"}
    assert look("DetectFaces", sample("coffee.jpg")) == {"FaceDetails": []}


def test_every_answer_names_its_models_by_their_hashes(look: Ask, sample: Sample) -> None:
    version = look("DetectLabels", sample("cat.jpg"))["LabelModelVersion"]
    assert version.startswith("imgpipe-local/")
    for model in (OBJECTS, CLASSES, FACES):
        assert f"{model.name}@{model.sha256[:8]}" in version


@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
def test_without_models_cat_and_cup_are_not_named(ask: Ask, sample: Sample, name: str) -> None:
    answer = ask("DetectLabels", sample(name), MinConfidence=0)
    assert answer["Labels"] == []
    assert answer["LabelModelVersion"].startswith("imgpipe-local/")
    assert answer["LabelModelVersion"].endswith(";text+qr;no-face-model;no-object-model;no-class-model")


@pytest.mark.parametrize("name", ["astronaut.jpg", "cat.jpg", "coffee.jpg"])
def test_the_photographs_have_no_text(ask: Ask, sample: Sample, name: str) -> None:
    answer = ask("DetectText", sample(name))
    assert answer["TextDetections"] == []
    assert answer["TextModelVersion"].startswith("imgpipe-local rapidocr ")


@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
@pytest.mark.parametrize("change", ["blurred", 90, 180, 270])
def test_blurred_and_turned_photographs_get_no_false_label(
    look: Ask, sample: Sample, encoded: Callable[..., bytes], name: str, change: str | int
) -> None:
    picture: Image.Image = Image.open(BytesIO(sample(name)))
    if isinstance(change, int):
        picture = picture.rotate(change, expand=True)
    else:
        picture = picture.filter(ImageFilter.GaussianBlur(2))
    found = set(named(look("DetectLabels", encoded(picture, "JPEG", quality=90), MinConfidence=70)))
    assert (
        found
        <= {
            "cat.jpg": {"Animal", "Cat", "Mammal", "Pet"},
            "coffee.jpg": {"Cup", "Coffee Cup", "Coffee", "Beverage", "Dining Table"},
        }[name]
    )


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


def test_the_sign_is_labelled_text(look: Ask, sample: Sample) -> None:
    (label,) = look("DetectLabels", sample("sign.png"))["Labels"]
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
    look: Ask, sample: Sample, operation: str, name: str
) -> None:
    """botocore's own model, read as a validator: no unknown member, every type right."""
    features = {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]} if operation == "DetectLabels" else {}
    answer = look(operation, sample(name), **features)
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
