"""The real models on the sample pictures; with the optional detector too where its file is at hand:
`make verify-model FILE=yolox_tiny.onnx`. Places were read off the pictures by eye.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.models.catalogue import BETTER_OBJECTS, MODELS, OBJECTS, Model
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition import Rekognition
from tests.local.rekognition.conftest import Ask, asking
from tests.support.model_files import model_folder

FILE = os.environ.get("IMGPIPE_MODEL_FILE", "")
DETECTORS = [OBJECTS, *([BETTER_OBJECTS] if FILE else [])]

Box = tuple[float, float, float, float]
Sample = Callable[[str], bytes]

# Left, top, right and bottom in pixels, of pictures of this size.
EXPECTED = {
    "cat.jpg": ("Cat", (0, 0, 402, 300), (451, 300)),
    "coffee.jpg": ("Cup", (172, 17, 412, 310), (600, 400)),
    "astronaut.jpg": ("Person", (20, 14, 366, 512), (512, 512)),
}
# Everything that is in a picture and that the models have a word for; ancestors come with their descendants.
IN_IT = {
    "cat.jpg": {"Animal", "Cat", "Mammal", "Pet"},
    "coffee.jpg": {"Beverage", "Coffee", "Coffee Cup", "Cup", "Dining Table", "Spoon"},
    "astronaut.jpg": {"Face", "Head", "Person"},
    "sign.png": {"Text"},
}
SHOWN_FROM = 70


@pytest.fixture(scope="module", params=DETECTORS, ids=lambda model: model.name)
def detector(request: pytest.FixtureRequest) -> Model:
    found: Model = request.param
    return found


@pytest.fixture(scope="module")
def weights(detector: Model, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """A Rekognition with the real models, this detector among them."""
    if detector is OBJECTS:
        return asking(Rekognition(models=ModelFolder(model_folder())))
    folder = ModelFolder(tmp_path_factory.mktemp("models"))
    for model in MODELS:
        shutil.copy(FILE if model is detector else model_folder() / model.file, folder.path(model))
    return asking(Rekognition(models=folder))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


@pytest.mark.parametrize("model", [model for model in MODELS if not model.optional], ids=lambda m: m.name)
def test_size_and_hash_are_the_pinned_ones(model: Model) -> None:
    assert (model_folder() / model.file).stat().st_size == model.size_bytes
    assert ModelFolder(model_folder()).condition(model) == "installed"


@pytest.mark.skipif(not FILE, reason="needs the optional detector: make verify-model FILE=yolox_tiny.onnx")
def test_size_and_hash_of_the_optional_detector_are_the_pinned_ones(tmp_path: Path) -> None:
    assert Path(FILE).stat().st_size == BETTER_OBJECTS.size_bytes
    shutil.copy(FILE, tmp_path / BETTER_OBJECTS.file)
    assert ModelFolder(tmp_path).condition(BETTER_OBJECTS) == "installed"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_thing_in_the_picture_is_named_where_it_is(
    weights: Ask, detector: Model, sample: Sample, name: str
) -> None:
    label, place, (width, height) = EXPECTED[name]
    answer = weights("DetectLabels", sample(name))
    assert detector.version in answer["LabelModelVersion"]
    found: dict[str, Any] = {entry["Name"]: entry for entry in answer["Labels"]}
    assert found[label]["Confidence"] >= SHOWN_FROM
    box = found[label]["Instances"][0]["BoundingBox"]
    edges = (box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"])
    pixels = (edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height)
    assert overlap(pixels, place) > 0.6


@pytest.mark.parametrize("name", IN_IT)
def test_no_picture_gets_a_label_that_is_not_in_it(weights: Ask, sample: Sample, name: str) -> None:
    """At DetectLabels' own default threshold, which is below the one that imgpipe shows from."""
    assert {entry["Name"] for entry in weights("DetectLabels", sample(name))["Labels"]} <= IN_IT[name]
