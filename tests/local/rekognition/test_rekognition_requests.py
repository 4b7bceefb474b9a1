"""Requests: what is refused with which code, where pictures come from, and what the choices choose."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from imgpipe_cli.local.rekognition import Rekognition

Ask = Callable[..., dict[str, Any]]
Refuse = Callable[..., str]
Sample = Callable[[str], bytes]

OPERATIONS = ["DetectLabels", "DetectFaces", "DetectText"]
IN_S3 = {"S3Object": {"Bucket": "pictures", "Name": "a b/ü.jpg"}}
INLINE = {"Bytes": "AAAA"}


def image(data: bytes) -> dict[str, str]:
    return {"Bytes": base64.b64encode(data).decode()}


@pytest.mark.parametrize("operation", [*OPERATIONS, "DetectModerationLabels"])
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"Image": None},
        {"Image": "x"},
        {"Image": {}},
        {"Image": {**INLINE, **IN_S3}},
        {"Image": {"Bytes": ""}},
        {"Image": {"Bytes": 5}},
        {"Image": {"Bytes": "not base64!"}},
        {"Image": {"S3Object": {"Bucket": "pictures"}}},
        {"Image": {"S3Object": {"Bucket": "pictures", "Name": ""}}},
        {"Image": {"S3Object": {"Bucket": "pictures", "Name": "a.jpg", "Version": 1}}},
    ],
)
def test_a_request_without_exactly_one_picture_is_refused(
    refuse: Refuse, operation: str, request_: dict[str, Any]
) -> None:
    assert refuse(operation, request_) == "InvalidParameterException"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("DetectLabels", {"MinConfidence": 101}),
        ("DetectLabels", {"MinConfidence": -1}),
        ("DetectLabels", {"MinConfidence": float("nan")}),
        ("DetectLabels", {"MinConfidence": "55"}),
        ("DetectLabels", {"MinConfidence": True}),
        ("DetectLabels", {"MaxLabels": -1}),
        ("DetectLabels", {"MaxLabels": 1.5}),
        ("DetectLabels", {"MaxLabels": float("inf")}),
        ("DetectLabels", {"Features": ["LANDMARKS"]}),
        ("DetectLabels", {"Features": "GENERAL_LABELS"}),
        ("DetectLabels", {"Settings": []}),
        ("DetectLabels", {"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["x"] * 101}}}),
        ("DetectLabels", {"Settings": {"GeneralLabels": {"LabelExclusionFilters": [1]}}}),
        ("DetectLabels", {"Settings": {"ImageProperties": {"MaxDominantColors": 21}}}),
        ("DetectFaces", {"Attributes": ["AGE"]}),
        ("DetectText", {"Filters": {"WordFilter": {"MinConfidence": 200}}}),
        ("DetectText", {"Filters": {"WordFilter": {"MinBoundingBoxHeight": 2}}}),
        ("DetectText", {"Filters": {"RegionsOfInterest": [{"BoundingBox": {}}] * 11}}),
        ("DetectText", {"Filters": {"RegionsOfInterest": [{}]}}),
        ("DetectText", {"Filters": {"RegionsOfInterest": [{"Polygon": [{"X": 0, "Y": 0}] * 2}]}}),
        ("DetectText", {"Filters": {"RegionsOfInterest": [{"Polygon": [1, 2, 3]}]}}),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_the_picture_is_read(
    refuse: Refuse, operation: str, parameters: dict[str, Any]
) -> None:
    def must_not_read(*place: Any) -> bytes:
        raise AssertionError(place)

    assert refuse(operation, {"Image": IN_S3, **parameters}, must_not_read) == "InvalidParameterException"


@pytest.mark.parametrize("error", [KeyError("gone"), PermissionError("no")])
def test_an_object_that_cannot_be_read_has_one_code(refuse: Refuse, error: Exception) -> None:
    def read(*place: Any) -> bytes:
        raise error

    assert refuse("DetectLabels", {"Image": IN_S3}, read) == "InvalidS3ObjectException"


@pytest.mark.parametrize("version", [None, "v-7"])
def test_the_object_is_read_by_bucket_key_and_version(
    rekognition: Rekognition, sample: Sample, version: str | None
) -> None:
    asked: list[tuple[str, str, str | None]] = []

    def read(bucket: str, key: str, wanted: str | None) -> bytes:
        asked.append((bucket, key, wanted))
        return sample("cat.jpg")

    place = {**IN_S3["S3Object"], **({"Version": version} if version else {})}
    status, _ = rekognition.answer("DetectText", {"Image": {"S3Object": place}}, read)
    assert (status, asked) == (200, [("pictures", "a b/ü.jpg", version)])


def test_bytes_and_objects_have_their_own_size_limits(ask: Ask, refuse: Refuse, sample: Sample) -> None:
    cat = sample("cat.jpg")
    at_limit = cat + bytes(5_242_880 - len(cat))
    assert ask("DetectText", at_limit)["TextDetections"] == []
    assert refuse("DetectText", {"Image": image(at_limit + b"\0")}) == "ImageTooLargeException"
    assert refuse("DetectText", {"Image": image(bytes(6_000_000))}) == "ImageTooLargeException"
    too_large = cat + bytes(15_728_641 - len(cat))
    assert refuse("DetectText", {"Image": IN_S3}, lambda *_: too_large) == "ImageTooLargeException"


def test_an_object_of_15_mb_is_taken(rekognition: Rekognition, sample: Sample) -> None:
    cat = sample("cat.jpg")
    full = cat + bytes(15_728_640 - len(cat))
    assert rekognition.answer("DetectText", {"Image": IN_S3}, lambda *_: full)[0] == 200


def test_faces_without_their_model_are_not_available_and_the_answer_says_how_to_get_them(
    rekognition: Rekognition, refuse: Refuse, sample: Sample
) -> None:
    request = {"Image": IN_S3}
    assert refuse("DetectFaces", request, lambda *_: sample("cat.jpg")) == "ResourceNotReadyException"
    _, body = rekognition.answer("DetectFaces", request, lambda *_: sample("cat.jpg"))
    assert "not available locally" in body["Message"]
    assert "imgpipe local models fetch" in body["Message"]


@pytest.mark.parametrize("operation", ["", "CompareFaces", "detectlabels", "__init__"])
def test_other_operations_are_unknown(refuse: Refuse, operation: str) -> None:
    assert refuse(operation, {"Image": INLINE}) == "UnknownOperationException"


def test_an_unexpected_error_is_an_internal_one_without_its_text(rekognition: Rekognition) -> None:
    def read(*place: Any) -> bytes:
        raise RuntimeError("a secret path")

    status, body = rekognition.answer("DetectText", {"Image": IN_S3}, read)
    assert (status, body["Code"]) == (500, "InternalServerError")
    assert "secret" not in body["Message"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["Face", "Head", "Person"]),
        ({"MinConfidence": 99.9}, []),
        ({"MaxLabels": 2}, ["Face", "Head"]),
        ({"MaxLabels": 0}, []),
        ({"MaxLabels": 5000}, ["Face", "Head", "Person"]),
        ({"LabelInclusionFilters": ["Person", "Cat"]}, ["Person"]),
        ({"LabelExclusionFilters": ["Face"]}, ["Head", "Person"]),
        ({"LabelCategoryInclusionFilters": ["Person Description"]}, ["Face", "Head", "Person"]),
        ({"LabelCategoryInclusionFilters": ["Animals and Pets"]}, []),
        ({"LabelCategoryExclusionFilters": ["Person Description"]}, []),
        ({"LabelInclusionFilters": ["Face", "Head"], "LabelExclusionFilters": ["Head"]}, ["Face"]),
    ],
)
def test_labels_are_chosen_by_threshold_number_and_filters(
    look: Ask, sample: Sample, parameters: dict[str, Any], expected: list[str]
) -> None:
    filters = {key: value for key, value in parameters.items() if key.endswith("Filters")}
    rest = {key: value for key, value in parameters.items() if key not in filters}
    answer = look("DetectLabels", sample("astronaut.jpg"), Settings={"GeneralLabels": filters}, **rest)
    assert [label["Name"] for label in answer["Labels"]] == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"WordFilter": {"MinConfidence": 0}}, 5),
        ({"WordFilter": {"MinBoundingBoxHeight": 0.5}}, 0),
        ({"WordFilter": {"MinBoundingBoxWidth": 0.19}}, 2),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 0, "Top": 0, "Width": 1, "Height": 0.2}}]}, 1),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 0.9, "Top": 0, "Width": 0.1, "Height": 1}}]}, 0),
        (
            {
                "RegionsOfInterest": [
                    {"Polygon": [{"X": 0, "Y": 0.75}, {"X": 1, "Y": 0.75}, {"X": 1, "Y": 1}]}
                ]
            },
            1,
        ),
    ],
)
def test_text_is_chosen_by_word_size_and_region(
    ask: Ask, sample: Sample, filters: dict[str, Any], expected: int
) -> None:
    found = ask("DetectText", sample("sign.png"), Filters=filters)["TextDetections"]
    assert sum(entry["Type"] == "LINE" for entry in found) == expected


def test_a_line_cut_by_a_region_is_reported_as_what_is_left_of_it(ask: Ask, sample: Sample) -> None:
    left_third = {"BoundingBox": {"Left": 0, "Top": 0, "Width": 0.3, "Height": 0.2}}
    line, word = ask("DetectText", sample("sign.png"), Filters={"RegionsOfInterest": [left_third]})[
        "TextDetections"
    ]
    assert line["DetectedText"] == word["DetectedText"] == "Harbour"
    assert line["Geometry"] == word["Geometry"]
    assert word["ParentId"] == line["Id"] == 0
