"""What `up` makes is closed: read back from the account as an auditor would, for both stores."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.names import UPLOAD_PREFIX
from imgpipe_cli.deploy.resources.api_routes import ROUTES
from imgpipe_cli.deploy.resources.token_parameter import read_token
from shared import http_api
from tests.support.account import IN_S3, NAMES, SETTINGS, RecordingAws, finished, fresh_account


@pytest.fixture(scope="module", params=[SETTINGS, IN_S3], ids=["table", "s3"])
def aws(request: pytest.FixtureRequest) -> Iterator[RecordingAws]:
    with fresh_account():
        finished(request.param)
        yield RecordingAws()


def buckets(aws: RecordingAws) -> list[str]:
    found = [bucket["Name"] for bucket in aws.call("s3", "list_buckets")["Buckets"]]
    assert NAMES.bucket in found
    return found


def test_no_bucket_can_be_made_public(aws: RecordingAws) -> None:
    for bucket in buckets(aws):
        block = aws.call("s3", "get_public_access_block", Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert block == dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        controls = aws.call("s3", "get_bucket_ownership_controls", Bucket=bucket)["OwnershipControls"]
        assert controls["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_buckets_refuse_everybody_without_tls(aws: RecordingAws) -> None:
    for bucket in buckets(aws):
        policy = json.loads(aws.call("s3", "get_bucket_policy", Bucket=bucket)["Policy"])
        [statement] = policy["Statement"]
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert set(statement["Resource"]) == {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"}


def test_buckets_are_encrypted_and_pictures_versioned(aws: RecordingAws) -> None:
    for bucket in buckets(aws):
        found = aws.call("s3", "get_bucket_encryption", Bucket=bucket)["ServerSideEncryptionConfiguration"]
        [rule] = found["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert aws.call("s3", "get_bucket_versioning", Bucket=NAMES.bucket)["Status"] == "Enabled"


def test_every_log_group_has_a_retention(aws: RecordingAws) -> None:
    groups = aws.call("logs", "describe_log_groups")["logGroups"]
    assert len(groups) == 4  # three functions and the API
    assert all(0 < group["retentionInDays"] <= 30 for group in groups)


def test_the_api_is_throttled_and_logs_what_it_answers(aws: RecordingAws) -> None:
    [api] = aws.call("apigatewayv2", "get_apis")["Items"]
    [stage] = aws.call("apigatewayv2", "get_stages", ApiId=api["ApiId"])["Items"]
    limits = stage["DefaultRouteSettings"]
    assert 0 < limits["ThrottlingRateLimit"] <= 100 and 0 < limits["ThrottlingBurstLimit"] <= 200
    assert json.loads(stage["AccessLogSettings"]["Format"])["status"] == "$context.status"
    routes = aws.call("apigatewayv2", "get_routes", ApiId=api["ApiId"])["Items"]
    assert {route["RouteKey"] for route in routes} == set(ROUTES)  # no catch-all among them


def test_only_the_parameter_store_knows_the_token(aws: RecordingAws) -> None:
    token = read_token(aws, NAMES)
    assert token and len(token) >= 43  # 256 bits
    parameter = aws.call("ssm", "get_parameter", Name=NAMES.token_parameter)["Parameter"]
    assert parameter["Type"] == "SecureString"
    for function in aws.call("lambda", "list_functions")["Functions"]:
        assert token not in json.dumps(function, default=str)
    settings = aws.call("ssm", "get_parameter", Name=NAMES.settings_parameter)["Parameter"]["Value"]
    assert token not in settings


def test_tokens_are_compared_in_constant_time() -> None:
    body = ast.parse(inspect.getsource(http_api.has_token))
    called = {ast.unparse(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)}
    assert "hmac.compare_digest" in called
    compared = [ast.unparse(node) for node in ast.walk(body) if isinstance(node, ast.Compare)]
    assert compared == ["scheme.lower() == 'bearer'"]


def statements(aws: RecordingAws, function: str) -> list[dict[str, Any]]:
    role = NAMES.role(function)
    policies = aws.call("iam", "list_role_policies", RoleName=role)["PolicyNames"]
    documents = [aws.call("iam", "get_role_policy", RoleName=role, PolicyName=name) for name in policies]
    return [one for document in documents for one in document["PolicyDocument"]["Statement"]]


def test_the_web_function_signs_uploads_under_its_prefix_only(aws: RecordingAws) -> None:
    writing = [
        one for one in statements(aws, "web") if any("Put" in a and a[:3] == "s3:" for a in one["Action"])
    ]
    [statement] = writing
    assert statement["Action"] == ["s3:PutObject"]
    assert statement["Resource"] == f"arn:aws:s3:::{NAMES.bucket}/{UPLOAD_PREFIX}*"


@pytest.mark.parametrize("function", ["ingest", "get_result", "web"])
def test_no_role_has_a_wildcard_that_could_be_narrower(aws: RecordingAws, function: str) -> None:
    for statement in statements(aws, function):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        if statement["Resource"] == "*":
            assert all(action.startswith("rekognition:Detect") for action in statement["Action"])
