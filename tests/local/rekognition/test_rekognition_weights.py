"""The real object model on the sample pictures: `make verify-model FILE=yolox_tiny.onnx`.

Not run where the weights are not at hand. Places were read off the pictures by eye.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.models.catalogue import OBJECTS
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition import Rekognition
from tests.local.rekognition.conftest import nothing_in_s3

FILE = os.environ.get("IMGPIPE_MODEL_FILE", "")
pytestmark = pytest.mark.skipif(not FILE, reason="needs the weights: make verify-model FILE=yolox_tiny.onnx")

Box = tuple[float, float, float, float]
Sample = Callable[[str], bytes]

# Left, top, right and bottom in pixels, of pictures of this size.
EXPECTED = {
    "cat.jpg": ("Cat", (0, 0, 402, 300), (451, 300)),
    "coffee.jpg": ("Cup", (172, 17, 412, 310), (600, 400)),
    "astronaut.jpg": ("Person", (20, 14, 366, 512), (512, 512)),
}
# Everything that is in a picture and that the model has a word for; ancestors come with their descendants.
IN_IT = {
    "cat.jpg": {"Animal", "Cat", "Mammal", "Pet"},
    "coffee.jpg": {"Cup", "Dining Table", "Spoon"},
    "astronaut.jpg": {"Face", "Head", "Person"},
    "sign.png": {"Text"},
}
SHOWN_FROM = 70


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Rekognition:
    """A Rekognition with the weights."""
    folder = ModelFolder(tmp_path_factory.mktemp("models"))
    shutil.copy(FILE, folder.path(OBJECTS))
    assert folder.condition(OBJECTS) == "installed"
    return Rekognition(models=folder)


def answer_of(service: Rekognition, data: bytes, **request: Any) -> dict[str, Any]:
    image = {"Bytes": base64.b64encode(data).decode()}
    status, body = service.answer("DetectLabels", {"Image": image, **request}, nothing_in_s3)
    assert status == 200, body
    for label in body["Labels"]:
        print(f"{label['Name']:<14} {label['Confidence']:5.1f} %  {label['Instances']}")
    return body


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


def test_size_and_hash_are_the_pinned_ones(tmp_path: Path) -> None:
    assert Path(FILE).stat().st_size == OBJECTS.size_bytes
    copy = tmp_path / OBJECTS.file
    shutil.copy(FILE, copy)
    assert ModelFolder(tmp_path).condition(OBJECTS) == "installed"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_thing_in_the_picture_is_named_where_it_is(
    weights: Rekognition, sample: Sample, name: str
) -> None:
    label, place, (width, height) = EXPECTED[name]
    answer = answer_of(weights, sample(name))
    assert answer["LabelModelVersion"].endswith(OBJECTS.version)
    found = {entry["Name"]: entry for entry in answer["Labels"]}
    assert found[label]["Confidence"] >= SHOWN_FROM
    box = found[label]["Instances"][0]["BoundingBox"]
    edges = (box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"])
    pixels = (edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height)
    assert overlap(pixels, place) > 0.6


@pytest.mark.parametrize("name", IN_IT)
def test_no_picture_gets_a_label_that_is_not_in_it(weights: Rekognition, sample: Sample, name: str) -> None:
    """At DetectLabels' own default threshold, which is below the one that imgpipe shows from."""
    assert {entry["Name"] for entry in answer_of(weights, sample(name))["Labels"]} <= IN_IT[name]
