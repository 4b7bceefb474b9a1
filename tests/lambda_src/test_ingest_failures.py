"""Each kind of failure: what is stored, whether Lambda tries again, and what the next try costs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ingest.app import Unfinished
from ingest.faults import fault_of

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud


def item_of(cloud: Cloud, key: str) -> dict[str, Any]:
    item = cloud.stored(key)
    assert item is not None
    return item


@pytest.mark.parametrize(
    ("aws_code", "code"),
    [
        ("InvalidImageFormatException", "corrupt"),
        ("ImageTooLargeException", "too_large"),
        ("InvalidParameterException", "rejected"),
    ],
)
def test_a_final_refusal_is_stored_and_the_function_returns(
    cloud: Cloud, pictures: SimpleNamespace, aws_code: str, code: str
) -> None:
    cloud.answers["DetectLabels"] = aws_code
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event)
    item = item_of(cloud, "a.jpg")
    assert (item["status"], item["error"]["code"], item["error"]["retryable"]) == ("failed", code, False)
    assert item["width"] == 640
    cloud.ingest(event)
    assert len(cloud.asked) == 1


def test_too_large_for_another_reason_than_its_bytes_is_told_in_the_services_words() -> None:
    said = "Image size is too large: decoding arn:aws:iam::1:role/x takes 300 MB"
    error = ClientError({"Error": {"Code": "ImageTooLargeException", "Message": said}}, "DetectLabels")
    fault = fault_of(error, "rekognition:DetectLabels")
    assert fault.code == "too_large"
    assert fault.message == "Image size is too large: decoding (name removed) takes 300 MB"


@pytest.mark.parametrize(
    ("aws_code", "code"),
    [
        ("ThrottlingException", "throttled"),
        ("ProvisionedThroughputExceededException", "throttled"),
        ("AccessDeniedException", "access_denied"),
        ("InvalidS3ObjectException", "unreadable"),
        ("InternalServerError", "service_error"),
        ("SomethingNewException", "service_error"),
    ],
)
def test_a_passing_failure_is_stored_and_then_raised(
    cloud: Cloud, pictures: SimpleNamespace, aws_code: str, code: str
) -> None:
    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = aws_code
    event = cloud.put("a.jpg", pictures.jpeg())
    with pytest.raises(Unfinished, match=code):
        cloud.ingest(event)
    item = item_of(cloud, "a.jpg")
    assert (item["status"], item["error"]["code"], item["error"]["retryable"]) == ("failed", code, True)
    assert "123456789012:" not in str(item["error"])  # results may be public
    cloud.answers["DetectLabels"] = good
    cloud.ingest(event)
    item = item_of(cloud, "a.jpg")
    assert item["status"] == "done"
    assert "error" not in item


@pytest.mark.parametrize(
    "aws_code", ["ResourceNotReadyException", "UnknownOperationException", "InvalidAction"]
)
def test_a_feature_the_endpoint_lacks_is_unavailable(
    cloud: Cloud, pictures: SimpleNamespace, aws_code: str
) -> None:
    cloud.answers["DetectModerationLabels"] = aws_code
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event, features="labels,moderation")
    item = item_of(cloud, "a.jpg")
    assert item["status"] == "done"
    assert item["features"] == ["labels", "moderation"]
    assert "moderation" not in item
    assert item["unavailable"]["moderation"]["code"] == aws_code
    assert "arn:" not in item["unavailable"]["moderation"]["message"]
    cloud.ingest(event, features="labels,moderation")
    assert len(cloud.asked) == 2


def test_all_features_unavailable_is_still_done(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectFaces"] = "ResourceNotReadyException"
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="faces")
    item = item_of(cloud, "a.jpg")
    assert (item["status"], list(item["unavailable"]), item["models"]) == ("done", ["faces"], {})


def test_what_was_paid_for_is_kept_for_the_next_try(cloud: Cloud, pictures: SimpleNamespace) -> None:
    good = cloud.answers["DetectFaces"]
    cloud.answers["DetectFaces"] = "ThrottlingException"
    cloud.answers["DetectModerationLabels"] = "ResourceNotReadyException"
    event = cloud.put("a.jpg", pictures.jpeg())
    with pytest.raises(Unfinished):
        cloud.ingest(event, features="labels,moderation,faces")
    partial = item_of(cloud, "a.jpg")
    assert partial["status"] == "failed"
    assert partial["labels"][0]["Name"] == "Cat"
    cloud.asked.clear()
    cloud.answers["DetectFaces"] = good
    cloud.ingest(event, features="labels,moderation,faces")
    assert cloud.operations == ["DetectFaces"]
    item = item_of(cloud, "a.jpg")
    assert item["status"] == "done"
    assert item["labels"] == partial["labels"]
    assert item["faces"][0]["Confidence"] == 99.5
    assert list(item["unavailable"]) == ["moderation"]
    assert item["models"] == {"labels": "3.0"}


def test_a_passing_failure_weighs_more_than_a_final_one(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = "InvalidImageFormatException"
    cloud.answers["DetectText"] = "ThrottlingException"
    with pytest.raises(Unfinished, match="throttled"):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="labels,text")


@pytest.mark.parametrize("answer", [{}, {"Labels": [{"Name": "no confidence"}]}])
def test_an_answer_that_cannot_be_stored_is_not_bought_again(
    cloud: Cloud, pictures: SimpleNamespace, answer: dict[str, Any]
) -> None:
    cloud.answers["DetectLabels"] = answer
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event)
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["error"]["code"] == "unexpected_answer"
    assert len(cloud.asked) == 1


def test_not_a_number_is_such_an_answer(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = {"Labels": [{"Name": "Cat", "Confidence": float("nan")}]}
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert item_of(cloud, "a.jpg")["error"]["code"] == "unexpected_answer"


@pytest.mark.parametrize(
    ("status", "aws_code", "code"),
    [
        (403, "AccessDenied", "access_denied"),
        (503, "SlowDown", "throttled"),
        (500, "InternalError", "service_error"),
    ],
)
def test_a_picture_that_cannot_be_read_yet_is_tried_again(
    cloud: Cloud, pictures: SimpleNamespace, status: int, aws_code: str, code: str
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.fail(cloud.s3, "GetObject", status, aws_code)
    with pytest.raises(Unfinished, match=code):
        cloud.ingest(event)
    item = item_of(cloud, "a.jpg")
    assert (item["error"]["code"], item["error"]["retryable"]) == (code, True)
    assert item["sizeBytes"] == len(pictures.jpeg())
    cloud.heal(cloud.s3, "GetObject")
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["status"] == "done"


def test_a_request_that_the_sdk_does_not_even_send_is_final(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())

    def spoil(params: dict[str, Any], **_context: Any) -> None:
        params["Image"] = {"S3Object": {"Bucket": ""}}

    hook = "before-parameter-build.rekognition.DetectLabels"
    cloud.rekognition.meta.events.register(hook, spoil)
    cloud.ingest(event)
    error = item_of(cloud, "a.jpg")["error"]
    assert (error["code"], error["retryable"], cloud.asked) == ("not_sent", False, [])


def test_an_archived_picture_says_so(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.fail(cloud.s3, "GetObject", 403, "InvalidObjectState")
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["error"]["code"] == "archived"


def test_a_bug_still_ends_in_a_result(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())

    def break_it(**_context: Any) -> None:
        raise RuntimeError("a bug")

    cloud.s3.meta.events.register_first("before-call.s3.GetObject", break_it)
    with pytest.raises(Unfinished, match="internal"):
        cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["error"]["message"] == "Unexpected RuntimeError at s3:GetObject."


@pytest.mark.parametrize("operation", ["read", "write"])
def test_a_store_that_stays_out_of_order_is_left_to_lambdas_retry(
    cloud: Cloud, pictures: SimpleNamespace, operation: str
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.fail(cloud.results_client, cloud.operation(operation), 400, "ThrottlingException")
    with pytest.raises(Unfinished) as caught:
        cloud.ingest(event)
    assert isinstance(caught.value.__cause__, ClientError)
    assert cloud.operations == ([] if operation == "read" else ["DetectLabels"])


def test_a_failure_never_hides_a_good_result(cloud: Cloud, pictures: SimpleNamespace) -> None:
    """Two copies of one event at once: the one that succeeds wins, whichever writes last."""
    event = cloud.put("a.jpg", pictures.jpeg())

    def the_other_copy_finishes(**_context: Any) -> None:
        cloud.s3.meta.events.unregister("before-call.s3.GetObject", unique_id="once")
        cloud.ingest(event)
        cloud.answers["DetectLabels"] = "ThrottlingException"

    cloud.s3.meta.events.register_first("before-call.s3.GetObject", the_other_copy_finishes, unique_id="once")
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["status"] == "done"
