"""What the ingest function logs about each picture: enough to tell its story, and which one it is."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ingest.app import Unfinished
from shared.log import about, log

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

CONTEXT = SimpleNamespace(aws_request_id="request-1")


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_says_which_picture_which_version_and_which_run(
    cloud: Cloud, pictures: SimpleNamespace, logged: Any
) -> None:
    cloud.answers["DetectText"] = "UnknownOperationException"
    event = cloud.put("a b.jpg", pictures.jpeg())
    cloud.ingest(event, features="labels,text", context=CONTEXT)
    lines = logged()
    version = event["Records"][0]["s3"]["object"].get("versionId")
    assert {(line["key"], line["versionId"], line["requestId"]) for line in lines} == {
        ("a b.jpg", version, "request-1")
    }
    assert [line["event"] for line in lines] == [
        "record_received",
        "feature_failed",
        "rekognition_answered",
        "record_handled",
    ]
    assert lines[2]["found"] == {"labels": 1}
    assert lines[2]["models"] == {"labels": "3.0"}
    assert lines[2]["unavailable"] == ["text"]
    assert lines[3]["outcome"] == "done"
    assert lines[3]["durationMs"] >= 0


def test_what_comes_again_is_told_with_the_reason_why_nothing_is_done(
    cloud: Cloud, pictures: SimpleNamespace, logged: Any
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event, context=CONTEXT)
    logged()
    cloud.ingest(event, context=CONTEXT)
    assert [(line["event"], line.get("outcome")) for line in logged()] == [
        ("record_received", None),
        ("record_handled", "already done"),
    ]


def test_a_failed_attempt_says_why_and_how_long_it_took(
    cloud: Cloud, pictures: SimpleNamespace, logged: Any
) -> None:
    cloud.answers["DetectLabels"] = "AccessDeniedException"
    with pytest.raises(Unfinished):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), context=CONTEXT)
    lines = {line["event"]: line for line in logged()}
    assert lines["rekognition_answered"]["failed"] == {"labels": "access_denied"}
    assert "rekognition:DetectLabels" in lines["record_failed"]["errorMessage"]
    assert lines["record_failed"]["durationMs"] >= 0


def test_records_of_one_event_are_not_mixed_up(cloud: Cloud, pictures: SimpleNamespace, logged: Any) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), cloud.put("b.jpg", pictures.jpeg()), context=CONTEXT)
    lines = logged()
    assert [line["key"] for line in lines] == ["a.jpg"] * 3 + ["b.jpg"] * 3


def test_what_a_line_is_about_ends_with_the_work(logged: Any) -> None:
    with about(key="a"), about(part="b"):
        log("INFO", "inside")
    log("INFO", "outside")
    inside, outside = logged()
    assert (inside["key"], inside["part"]) == ("a", "b")
    assert "key" not in outside
