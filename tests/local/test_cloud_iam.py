"""Rights on the local cloud are enforced as on AWS, also on the object that Rekognition is to look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.local.process.running_cloud import LocalCloud

BUCKET = "looked-at"
OBJECT = {"S3Object": {"Bucket": BUCKET, "Name": "mine/a b.jpg"}}


@pytest.fixture(scope="module")
def version(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> str:
    """A bucket that only takes TLS, with a picture in two versions; the older one's id."""
    s3 = connect(stub_cloud, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    everything = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything}
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    s3.put_bucket_policy(
        Bucket=BUCKET,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}),
    )
    older: str = s3.put_object(Bucket=BUCKET, Key="mine/a b.jpg", Body=b"1")["VersionId"]
    s3.put_object(Bucket=BUCKET, Key="mine/a b.jpg", Body=b"12345")
    s3.put_object(Bucket=BUCKET, Key="other/b.jpg", Body=b"x")
    return older


@pytest.fixture
def user(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """A Rekognition client of a user who may do exactly the given (action, resource) pairs."""
    iam = connect(stub_cloud, "iam")
    name = "looker"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def allowed(*pairs: tuple[str, str]) -> Any:
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in pairs
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="exactly", PolicyDocument=document)
        return connect(stub_cloud, "rekognition", key=(key["AccessKeyId"], key["SecretAccessKey"], None))

    yield allowed
    iam.delete_user_policy(UserName=name, PolicyName="exactly")
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    found: str = refused.value.response["Error"]["Code"]
    return found


MAY_LABEL = ("rekognition:DetectLabels", "*")
MAY_READ = ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/mine/*")
MAY_READ_VERSIONS = ("s3:GetObjectVersion", f"arn:aws:s3:::{BUCKET}/mine/*")


def test_an_action_that_is_allowed_and_one_that_is_not(version: str, user: Callable[..., Any]) -> None:
    client = user(MAY_LABEL, MAY_READ)
    answer = client.detect_labels(Image=OBJECT)
    assert answer["Labels"][0]["Name"] == "5 bytes"
    assert code(client.detect_text, Image=OBJECT) == "AccessDeniedException"


def test_the_object_is_read_with_the_callers_rights(version: str, user: Callable[..., Any]) -> None:
    client = user(MAY_LABEL)
    assert code(client.detect_labels, Image=OBJECT) == "InvalidS3ObjectException"
    client = user(MAY_LABEL, MAY_READ)
    other = {"S3Object": {"Bucket": BUCKET, "Name": "other/b.jpg"}}
    assert code(client.detect_labels, Image=other) == "InvalidS3ObjectException"
    gone = {"S3Object": {"Bucket": BUCKET, "Name": "mine/gone.jpg"}}
    assert code(client.detect_labels, Image=gone) == "InvalidS3ObjectException"


def test_a_version_needs_its_own_right(version: str, user: Callable[..., Any]) -> None:
    older = {"S3Object": {**OBJECT["S3Object"], "Version": version}}
    assert code(user(MAY_LABEL, MAY_READ).detect_labels, Image=older) == "InvalidS3ObjectException"
    answer = user(MAY_LABEL, MAY_READ_VERSIONS).detect_labels(Image=older)
    assert answer["Labels"][0]["Name"] == "1 bytes"


def test_bytes_need_no_object(user: Callable[..., Any]) -> None:
    assert user(MAY_LABEL).detect_labels(Image={"Bytes": b"123"})["Labels"][0]["Name"] == "3 bytes"


def test_errors_have_rekognitions_form(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> None:
    client = connect(stub_cloud, "rekognition", retries={"max_attempts": 0})
    with pytest.raises(ClientError) as refused:
        client.detect_labels(Image={"S3Object": {"Bucket": BUCKET, "Name": "gone"}})
    response = refused.value.response
    assert response["Error"]["Message"].startswith("Unable to get object metadata from S3.")
    assert response["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.1"
    assert response["ResponseMetadata"]["RequestId"]
    assert code(client.detect_faces, Image=OBJECT) == "InternalServerError"


def test_a_function_may_do_what_its_role_may_and_no_more(
    stub_cloud: LocalCloud, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(stub_cloud, "confined")
    pipeline.connect("lambda").delete_function(FunctionName="confined")
    code_text = """
import boto3, os
def handler(event, context):
    told = {"who": boto3.client("sts").get_caller_identity()["Arn"]}
    told["keys"] = sorted(name for name in os.environ if "AWS_PROFILE" in name or "PROXY" in name)
    for name, call in {
        "own": lambda: boto3.client("dynamodb").put_item(TableName="confined", Item={"key": {"S": "k"}}),
        "scan": lambda: boto3.client("dynamodb").scan(TableName="confined"),
        "buckets": lambda: boto3.client("s3").list_buckets(),
        "rekognition": lambda: boto3.client("rekognition").detect_labels(Image={"Bytes": b"1"}),
    }.items():
        try:
            call()
            told[name] = "done"
        except Exception as error:
            told[name] = error.response["Error"]["Code"]
    return told
"""
    pipeline.function("ingest.app.handler", "arn:aws:iam::000000000000:role/confined", code_text)
    told = json.loads(pipeline.connect("lambda").invoke(FunctionName="confined")["Payload"].read())
    assert told == {
        "who": "arn:aws:sts::000000000000:assumed-role/confined/confined",
        "keys": ["NO_PROXY"],
        "own": "done",
        "scan": "AccessDeniedException",
        "buckets": "AccessDenied",
        "rekognition": "AccessDeniedException",
    }


def test_a_functions_key_cannot_be_guessed_from_its_name(
    stub_cloud: LocalCloud, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(stub_cloud, "unguessed")
    pipeline.put("a.jpg")
    pipeline.wait_for({"a.jpg"})
    function = "arn:aws:lambda:us-east-1:000000000000:function:unguessed"
    digest = hashlib.sha256(f"{function}:arn:aws:iam::000000000000:role/unguessed".encode()).hexdigest()
    secret = hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
    token = hashlib.sha256(f"token:{digest}".encode()).hexdigest()
    client = boto3.client(
        "dynamodb",
        endpoint_url=stub_cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id=f"ASIA{digest[:16].upper()}",
        aws_secret_access_key=secret,
        aws_session_token=token,
    )
    assert (
        code(client.put_item, TableName="unguessed", Item={"key": {"S": "x"}})
        == "UnrecognizedClientException"
    )
