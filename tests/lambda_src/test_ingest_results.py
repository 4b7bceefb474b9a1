"""What becomes of a picture that arrives: the stored item, and what was paid for it."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ingest.app import Unfinished
from ingest.reading import FAR_BYTES
from shared.index_rows import mark_of
from shared.original import metadata
from shared.picture import MAX_BYTES

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

ALL = "labels,moderation,faces,text"


def test_a_picture_gets_its_whole_result(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("pics/red flower+1 é.jpg", pictures.jpeg(640, 480))
    assert cloud.ingest(event, features=ALL) == {"records": 1, "overLimit": 0}
    item = cloud.stored("pics/red flower+1 é.jpg")
    assert item is not None
    thing = event["Records"][0]["s3"]["object"]
    assert item.pop("durationMs") >= 0
    assert item == {
        "objectKey": "pics/red flower+1 é.jpg",
        "bucket": "imgpipe-uploads-123456789012-eu-west-1-an",
        "status": "done",
        "analyzedAt": "2026-11-22T18:30:05.250Z",
        "day": "2026-11-22",
        "versionId": thing["versionId"],
        "eTag": thing["eTag"],
        "sequencer": thing["sequencer"].ljust(32, "0"),
        "sizeBytes": len(pictures.jpeg()),
        "sha256": hashlib.sha256(pictures.jpeg()).hexdigest(),
        "contentType": "image/jpeg",
        "width": 640,
        "height": 480,
        "features": ["labels", "moderation", "faces", "text"],
        "models": {"labels": "3.0", "moderation": "7.0", "text": "3.0"},
        "labels": [
            {
                "Name": "Cat",
                "Confidence": 98.76543426513672,
                "Parents": [{"Name": "Animal"}],
                "Instances": [],
            }
        ],
        "moderation": [],
        "faces": [{"Confidence": 99.5, "BoundingBox": {"Left": -0.01, "Top": 1e-7}}],
        "text": [{"DetectedText": "HI", "Type": "LINE", "Id": 0, "Confidence": 88}],
        "indexed": sorted(
            [
                *("00.00 name#1", "00.00 name#flower", "00.00 name#jpg", "00.00 name#pics", "00.00 name#red"),
                *("00.00 name#é", "01.24 label#animal", "01.24 label#cat", "12.00 text#hi"),
                *(
                    f"{mark_of(item['models'].get(feature, ''))} sha256#{item['sha256']}#{feature}"
                    for feature in ("faces", "labels", "moderation", "text")
                ),
            ]
        ),
        "indexedAt": 1795372205250,
    }


def test_rekognition_is_asked_about_the_events_own_version(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a b.jpg", pictures.jpeg())
    cloud.put("a b.jpg", pictures.png())
    cloud.ingest(event, features=ALL)
    version = event["Records"][0]["s3"]["object"]["versionId"]
    assert len(cloud.asked) == 4
    for _operation, parameters in cloud.asked:
        place = parameters["Image"]["S3Object"]
        assert (place["Name"], place["Version"]) == ("a b.jpg", version)
    asked = dict(cloud.asked)
    assert (asked["DetectLabels"]["MinConfidence"], asked["DetectLabels"]["MaxLabels"]) == (50, 100)
    assert asked["DetectModerationLabels"]["MinConfidence"] == 50
    assert asked["DetectText"]["Filters"] == {"WordFilter": {"MinConfidence": 50}}
    assert "GENDER" not in asked["DetectFaces"]["Attributes"]


def test_a_bucket_without_versions_works_too(unversioned_cloud: Cloud, pictures: SimpleNamespace) -> None:
    unversioned_cloud.ingest(unversioned_cloud.put("a.png", pictures.png(80, 80)))
    item = unversioned_cloud.stored("a.png")
    assert item is not None
    assert (item["status"], item["contentType"], item["width"]) == ("done", "image/png", 80)
    assert "versionId" not in item
    assert "Version" not in unversioned_cloud.asked[0][1]["Image"]["S3Object"]


def test_only_the_features_asked_for_are_paid(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="faces, text")
    assert cloud.operations == ["DetectFaces", "DetectText"]
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["features"] == ["faces", "text"]
    assert "labels" not in item


def test_findings_below_the_floor_are_not_stored(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectText"] = {"TextDetections": [{"Confidence": 49.9}, {"Confidence": 50.0}]}
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="text")
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["text"] == [{"Confidence": 50}]


def refused(pictures: SimpleNamespace) -> dict[str, tuple[bytes, str, str]]:
    return {
        "gif": (b"GIF89a" + bytes(100), "unsupported_format", "a GIF picture"),
        "webp": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "unsupported_format", "a WebP picture"),
        "text": (b"not a picture at all", "unsupported_format", "a text file"),
        "empty": (b"", "unsupported_format", "an empty file"),
        "large": (pictures.jpeg() + bytes(MAX_BYTES), "too_large", "15 MB"),
        "small": (pictures.jpeg(79, 500), "too_small", "79 x 500"),
        "wide": (pictures.png(10_001, 500), "too_many_pixels", "10001 x 500"),
        "cut": (pictures.jpeg()[:25], "corrupt", "ends within its header"),
        "broken": (b"\xff\xd8\xff\xda\x00\x08" + bytes(90), "corrupt", "no frame header"),
    }


@pytest.mark.parametrize("name", list(refused(SimpleNamespace(jpeg=lambda *_: b"", png=lambda *_: b""))))
def test_what_rekognition_would_refuse_is_refused_for_free(
    cloud: Cloud, pictures: SimpleNamespace, name: str
) -> None:
    body, code, words = refused(pictures)[name]
    cloud.ingest(cloud.put(f"{name}.jpg", body), features=ALL)
    item = cloud.stored(f"{name}.jpg")
    assert item is not None
    assert item["status"] == "failed"
    assert item["error"]["code"] == code
    assert words in item["error"]["message"]
    assert item["error"]["hint"]
    assert item["error"]["retryable"] is False
    assert item["sizeBytes"] == len(body)
    assert cloud.asked == []


ORIGINALS: list[tuple[dict[str, str], object]] = [
    (metadata("M\u00e4use 1.HEIC", "HEIC", "0" * 64), {"kind": "HEIC", "name": "M\u00e4use 1.HEIC"}),
    (metadata("\u00fc" * 255, "CR2", "0" * 64), {"kind": "CR2"}),
    (
        {"imgpipe-original-kind": "DNG", "imgpipe-original-name": "%ff%zz"},
        {"kind": "DNG", "name": "\ufffd%zz"},
    ),
    ({"imgpipe-original-kind": "<b>"}, None),
    ({"imgpipe-original-name": "a.heic"}, None),
    ({"imgpipe-original-kind": "HEIC", "imgpipe-original-name": "a" * 1500}, {"kind": "HEIC"}),
    ({"somebody": "else"}, None),
]


@pytest.mark.parametrize(("written", "original"), ORIGINALS)
def test_the_result_says_from_which_file_a_picture_was_converted(
    cloud: Cloud, pictures: SimpleNamespace, written: dict[str, str], original: object
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg(), metadata=written))
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item.get("original")) == ("done", original)


def test_a_size_far_behind_metadata_is_found(cloud: Cloud, pictures: SimpleNamespace) -> None:
    made = metadata("a.tif", "TIFF", "0" * 64)
    cloud.ingest(cloud.put("exif.jpg", pictures.jpeg(700, 500, metadata=300_000), metadata=made))
    item = cloud.stored("exif.jpg")
    assert item is not None
    assert (item["status"], item["width"], item["height"]) == ("done", 700, 500)
    assert item["original"] == {"kind": "TIFF", "name": "a.tif"}


def test_a_size_too_far_away_is_left_to_rekognition(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("huge.jpg", pictures.jpeg(metadata=FAR_BYTES)))
    item = cloud.stored("huge.jpg")
    assert item is not None
    assert item["status"] == "done"
    assert "width" not in item


def test_duplicates_cost_nothing(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event)
    first = cloud.stored("a.jpg")
    cloud.ingest(event, event)
    assert cloud.operations == ["DetectLabels"]
    assert cloud.stored("a.jpg") == first


def test_a_refused_picture_is_not_looked_at_again(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", b"GIF89a")
    cloud.ingest(event)
    cloud.fail(cloud.s3, "GetObject", 500, "MustNotBeCalled")
    cloud.ingest(event)


def test_more_features_later_cost_only_these(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event, features="labels")
    del event["Records"][0]["s3"]["object"]["sequencer"]  # as a replay made by hand
    cloud.ingest(event, features="faces")
    assert cloud.operations == ["DetectFaces", "DetectLabels"]
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["features"] == ["labels", "faces"]
    assert item["labels"][0]["Name"] == "Cat"
    assert item["models"] == {"labels": "3.0"}


def test_an_overwrite_is_a_new_picture(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    event = cloud.put("a.jpg", pictures.jpeg(800, 600))
    cloud.ingest(event)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["width"], item["versionId"]) == (800, event["Records"][0]["s3"]["object"]["versionId"])
    assert len(cloud.asked) == 2


def test_one_bad_record_fails_only_itself(cloud: Cloud, pictures: SimpleNamespace) -> None:
    bad = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]}
    good, other = cloud.put("a.jpg", pictures.jpeg()), cloud.put("b.png", pictures.png())
    with pytest.raises(Unfinished, match="1 of 4 records need another try: a record cannot be read"):
        cloud.ingest(good, bad, cloud.put("folder/", b""), other)
    for key in ("a.jpg", "b.png"):
        item = cloud.stored(key)
        assert item is not None
        assert item["status"] == "done"
    assert cloud.stored("folder/") is None


def test_records_without_time_are_left_for_the_next_try(cloud: Cloud, pictures: SimpleNamespace) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 5000, aws_request_id="r")
    events = cloud.put("a.jpg", pictures.jpeg()), cloud.put("b.jpg", pictures.jpeg())
    with pytest.raises(Unfinished, match="no time left"):
        cloud.ingest(*events, context=context)
    assert cloud.stored("a.jpg") is not None
    assert cloud.stored("b.jpg") is None


def test_an_empty_event_is_fine(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.ingest() == {"records": 0, "overLimit": 0}
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "ignored"


def test_every_log_line_is_json(
    cloud: Cloud, pictures: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.answers["DetectLabels"] = "ThrottlingException"
    with pytest.raises(Unfinished):
        cloud.ingest(cloud.put("a\nb.jpg", pictures.jpeg()))
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [
        "record_received",
        "feature_failed",
        "rekognition_answered",
        "record_failed",
    ]
    assert all({"timestamp", "level"} <= line.keys() for line in lines)
    assert {line["key"] for line in lines} == {"a\nb.jpg"}
