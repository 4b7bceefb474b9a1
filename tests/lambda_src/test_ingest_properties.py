"""Image properties: a feature of its own, with a call, an answer and a fault of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ingest.app import Unfinished
from ingest.trim import trimmed
from shared.results import at_least
from tests.support.function_cloud import ANSWERS, Cloud

PROPERTIES: dict[str, Any] = {
    "Quality": {"Brightness": 47.25, "Sharpness": 88.5, "Contrast": 61.0},
    "DominantColors": [
        {
            **{"Red": 47, "Green": 79, "Blue": 79, "HexCode": "#2f4f4f", "CSSColor": "darkslategrey"},
            **{"SimplifiedColor": "grey", "PixelPercent": 39.453125},
        }
    ],
    "Foreground": {"Quality": {"Brightness": 50.5}, "DominantColors": []},
}


@pytest.fixture
def seeing(cloud: Cloud) -> Cloud:
    """Rekognition answers both features of DetectLabels."""
    cloud.answers["DetectLabels"] = {**ANSWERS["DetectLabels"], "ImageProperties": PROPERTIES}
    return cloud


def test_properties_are_stored_under_rekognitions_own_names(seeing: Cloud, pictures: SimpleNamespace) -> None:
    seeing.ingest(seeing.put("a.jpg", pictures.jpeg()), features="properties")
    item = seeing.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["features"]) == ("done", ["properties"])
    assert item["properties"] == PROPERTIES
    assert item["models"] == {"properties": "3.0"}
    assert "labels" not in item
    ((operation, parameters),) = seeing.asked
    assert (operation, parameters["Features"]) == ("DetectLabels", ["IMAGE_PROPERTIES"])
    assert "MinConfidence" not in parameters


def test_labels_and_properties_are_two_calls_and_two_answers(
    seeing: Cloud, pictures: SimpleNamespace
) -> None:
    seeing.ingest(seeing.put("a.jpg", pictures.jpeg()), features="properties,labels")
    item = seeing.stored("a.jpg")
    assert item is not None
    assert item["features"] == ["labels", "properties"]
    assert item["labels"][0]["Name"] == "Cat"
    assert item["properties"] == PROPERTIES
    assert sorted("Features" in parameters for _, parameters in seeing.asked) == [False, True]


def test_properties_switched_on_later_do_not_pay_for_the_labels_again(
    seeing: Cloud, pictures: SimpleNamespace
) -> None:
    event = seeing.put("a.jpg", pictures.jpeg())
    seeing.ingest(event, features="labels")
    seeing.ingest(event, features="labels,properties")
    seeing.ingest(event, features="labels,properties")
    asked = [parameters.get("Features") for _, parameters in seeing.asked]
    assert asked == [None, ["IMAGE_PROPERTIES"]]


def test_an_answer_without_properties_is_a_fault_and_keeps_what_else_was_found(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="labels,properties")
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["error"]["code"]) == ("failed", "unexpected_answer")
    assert item["labels"][0]["Name"] == "Cat"


def test_throttled_properties_are_asked_again_and_the_rest_is_not(
    seeing: Cloud, pictures: SimpleNamespace
) -> None:
    event = seeing.put("a.jpg", pictures.jpeg())
    seeing.answers["DetectFaces"] = "ThrottlingException"
    with pytest.raises(Unfinished):
        seeing.ingest(event, features="faces,properties")
    seeing.asked.clear()
    seeing.answers["DetectFaces"] = ANSWERS["DetectFaces"]
    seeing.ingest(event, features="faces,properties")
    assert seeing.operations == ["DetectFaces"]
    item = seeing.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["properties"]) == ("done", PROPERTIES)


def test_a_threshold_leaves_properties_whole() -> None:
    item: Any = {"labels": [{"Confidence": 60.0}], "properties": PROPERTIES}
    assert dict(at_least(item, 99)) == {"labels": [], "properties": PROPERTIES}


def test_trimming_takes_findings_and_never_properties() -> None:
    item = {"text": [{"Confidence": 50 + n % 50, "DetectedText": "x" * 90} for n in range(40)]}
    whole = {**item, "properties": PROPERTIES}
    kept = trimmed(whole, {}, max_bytes=2_000)
    assert kept["properties"] == PROPERTIES
    assert len(kept["text"]) == 40 - kept["trimmed"]["text"] < 40
