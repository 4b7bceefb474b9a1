"""Each function runs under its own role: what its job needs is allowed, and what lies beside it is denied."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.machine import EXAMPLES

# Runs in place of a function's own code, under the function's own role.
PROBE = """
import boto3
def handler(event, context):
    client = boto3.client(event["service"])
    try:
        getattr(client, event["operation"])(**event["params"])
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
"""
Probe = Callable[..., str]
BUCKET = "shared-uploads-000000000000-us-east-1-an"
TABLE = "shared-results"
ITEM = {"objectKey": {"S": "probe"}}
PICTURE = {"Image": {"S3Object": {"Bucket": BUCKET, "Name": "cat.jpg"}}}
THEIRS = {"Image": {"S3Object": {"Bucket": "neighbour", "Name": "cat.jpg"}}}


@pytest.fixture(scope="module")
def probe(pipeline: Pipeline) -> Iterator[Probe]:
    """probe(function, service, operation, **params): "allowed", or the error code."""
    import io
    import zipfile

    machine = pipeline.machine
    functions, s3 = machine.client("lambda"), machine.client("s3")
    s3.create_bucket(Bucket="neighbour")
    s3.put_object(Bucket="neighbour", Key="cat.jpg", Body=(EXAMPLES / "cat.jpg").read_bytes())
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("probe.py", PROBE)
    for name in ("ingest", "get-result", "web"):
        role = functions.get_function(FunctionName=f"shared-{name}")["Configuration"]["Role"]
        functions.create_function(
            FunctionName=f"probe-{name}",
            Runtime="python3.12",
            Role=role,
            Handler="probe.handler",
            Code={"ZipFile": content.getvalue()},
            Timeout=30,
        )
        functions.get_waiter("function_active_v2").wait(FunctionName=f"probe-{name}")

    def asked(function: str, service: str, operation: str, **params: Any) -> str:
        event = {"service": service, "operation": operation, "params": params}
        answer = functions.invoke(FunctionName=f"probe-{function}", Payload=json.dumps(event).encode())
        return str(json.loads(answer["Payload"].read()))

    yield asked
    for name in ("ingest", "get-result", "web"):
        functions.delete_function(FunctionName=f"probe-{name}")
    s3.delete_object(Bucket="neighbour", Key="cat.jpg")
    s3.delete_bucket(Bucket="neighbour")


@pytest.mark.parametrize(
    ("function", "service", "operation", "params"),
    [
        ("ingest", "s3", "get_object", {"Bucket": BUCKET, "Key": "cat.jpg"}),
        ("ingest", "rekognition", "detect_labels", PICTURE),
        ("ingest", "rekognition", "detect_faces", PICTURE),
        ("ingest", "dynamodb", "get_item", {"TableName": TABLE, "Key": ITEM}),
        ("get-result", "dynamodb", "get_item", {"TableName": TABLE, "Key": ITEM}),
        ("web", "s3", "get_object", {"Bucket": BUCKET, "Key": "cat.jpg"}),
    ],
)
def test_a_function_may_do_its_job(
    probe: Probe, function: str, service: str, operation: str, params: dict[str, Any]
) -> None:
    assert probe(function, service, operation, **params) == "allowed"


@pytest.mark.parametrize(
    ("function", "service", "operation", "params"),
    [
        ("ingest", "s3", "get_object", {"Bucket": "neighbour", "Key": "cat.jpg"}),
        ("ingest", "s3", "put_object", {"Bucket": BUCKET, "Key": "new.jpg", "Body": "x"}),
        ("ingest", "s3", "delete_object", {"Bucket": BUCKET, "Key": "cat.jpg"}),
        ("ingest", "dynamodb", "delete_table", {"TableName": TABLE}),
        ("ingest", "dynamodb", "scan", {"TableName": TABLE}),
        ("ingest", "dynamodb", "get_item", {"TableName": "other-results", "Key": ITEM}),
        ("ingest", "ssm", "get_parameter", {"Name": "/imgpipe/shared/token"}),
        ("ingest", "iam", "list_roles", {}),
        ("get-result", "dynamodb", "put_item", {"TableName": TABLE, "Item": ITEM}),
        ("get-result", "dynamodb", "get_item", {"TableName": "other-results", "Key": ITEM}),
        ("get-result", "s3", "get_object", {"Bucket": BUCKET, "Key": "cat.jpg"}),
        ("get-result", "rekognition", "detect_labels", PICTURE),
        ("web", "dynamodb", "put_item", {"TableName": TABLE, "Item": ITEM}),
        ("web", "s3", "put_object", {"Bucket": BUCKET, "Key": "cat.jpg", "Body": "x"}),
        ("web", "s3", "get_object", {"Bucket": "neighbour", "Key": "cat.jpg"}),
        ("web", "ssm", "get_parameter", {"Name": "/imgpipe/shared/token"}),
    ],
)
def test_a_function_may_do_nothing_beside_its_job(
    probe: Probe, function: str, service: str, operation: str, params: dict[str, Any]
) -> None:
    assert "AccessDenied" in probe(function, service, operation, **params)


def test_rekognition_does_not_read_for_a_role_what_the_role_may_not_read(probe: Probe) -> None:
    assert probe("ingest", "rekognition", "detect_labels", **THEIRS) == "InvalidS3ObjectException"
