"""Pictures that S3 opens to their sender's own key only (SSE-C), and why a picture is no valid one."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.diagnose.logs.lines import line
from imgpipe_cli.render import log_lines
from ingest.faults import fault_of
from tests.support.function_cloud import BUCKET, error

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

SAID = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided "
    "to retrieve the object."
)


def lock(cloud: Cloud, *keys: str) -> None:
    """From now on S3 gives these objects to nobody."""

    def refuse(params: dict[str, Any], **context: Any) -> Any:
        if not params["url_path"].endswith(tuple(keys)):
            return None
        head = context["model"].name == "HeadObject"
        response, parsed = error(400, "400" if head else "InvalidRequest")
        parsed["Error"]["Message"] = "Bad Request" if head else SAID
        return response, parsed

    for operation in ("GetObject", "HeadObject"):
        cloud.s3.meta.events.register_first(
            f"before-call.s3.{operation}", refuse, unique_id=f"lock{operation}"
        )


def test_it_is_final_at_once_with_its_cause(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    lock(cloud, "a.jpg")
    cloud.ingest(event)
    stored = cloud.stored("a.jpg")
    assert stored is not None
    told = stored["error"]
    assert (stored["status"], told["code"], told["retryable"]) == ("failed", "customer_key", False)
    assert "SSE-C" in told["message"]
    assert "without that key" in told["hint"]
    assert cloud.asked == []


def test_one_in_the_place_of_another_picture_gets_its_own_result(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.keep_versions()
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    event = cloud.put("a.jpg", pictures.jpeg(100, 100))
    lock(cloud, "a.jpg")
    cloud.ingest(event)
    stored = cloud.stored("a.jpg")
    assert stored is not None
    assert stored["versionId"] == event["Records"][0]["s3"]["object"]["versionId"]
    assert stored["error"]["code"] == "customer_key"


def test_one_that_shows_again_when_a_newer_version_goes_gets_its_result(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.keep_versions()
    cloud.put("a.jpg", pictures.jpeg())
    newer = cloud.put("a.jpg", pictures.jpeg(100, 100))
    cloud.ingest(newer)
    version = newer["Records"][0]["s3"]["object"]["versionId"]
    cloud.s3.delete_object(Bucket=BUCKET, Key="a.jpg", VersionId=version)
    lock(cloud, "a.jpg")
    thing = {**newer["Records"][0]["s3"]["object"], "sequencer": "FF"}
    record = {**newer["Records"][0], "eventName": "ObjectRemoved:Delete"}
    cloud.ingest({"Records": [{**record, "s3": {**record["s3"], "object": thing}}]})
    stored = cloud.stored("a.jpg")
    assert stored is not None
    assert stored["error"]["code"] == "customer_key"


def test_another_invalid_request_is_tried_again() -> None:
    refused = ClientError({"Error": {"Code": "InvalidRequest", "Message": "Something else."}}, "GetObject")
    assert fault_of(refused, "s3:GetObject").retryable


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Request has invalid image format: 150 scans, at most 100.", "(150 scans, at most 100)"),
        ("Request has invalid image format: not a JPEG or PNG file.", "(not a JPEG or PNG file)"),
        ("Request has invalid image format", "could not decode it."),
        ("Request has invalid image format: arn:aws:iam::1:role/x", "((name removed))"),
    ],
)
def test_the_services_reason_is_in_the_result(said: str, told: str) -> None:
    refused = ClientError({"Error": {"Code": "InvalidImageFormatException", "Message": said}}, "DetectLabels")
    fault = fault_of(refused, "rekognition:DetectLabels")
    assert (fault.code, fault.retryable) == ("corrupt", False)
    assert told in fault.message


def test_the_services_reason_is_in_the_log_line_as_it_is_shown(
    cloud: Cloud, pictures: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.answers["DetectLabels"] = "InvalidImageFormatException"
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    (raw,) = [one for one in capsys.readouterr().out.splitlines() if "feature_failed" in one]
    reason = json.loads(raw)["errorMessage"]
    assert reason.startswith("InvalidImageFormatException for ")
    assert reason in log_lines.text(line("ingest", {"timestamp": 0, "message": raw}))
