"""What goes wrong with AWS, in the words of the user's situation."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions as raised
import pytest

from imgpipe_cli.aws.client import Aws, AwsError, Place
from imgpipe_cli.aws.errors import denied_action, problem
from imgpipe_cli.errors import ExitCode, Problem
from tests.support import loopback
from tests.support.loopback import Page

DENIED = (
    "User: arn:aws:iam::123456789012:user/x is not authorized to perform: iam:CreateRole on resource: "
    "arn:aws:iam::123456789012:role/demo because no identity-based policy allows the iam:CreateRole action"
)


@pytest.mark.parametrize(
    ("code", "message", "expected", "hint"),
    [
        ("NoCredentials", "", "no_credentials", "aws configure"),
        ("BadProfile", "The config profile (x) could not be found", "bad_profile", "list-profiles"),
        ("SsoLogin", "", "sso_login_needed", "aws sso login"),
        ("NoRegion", "", "no_region", "--region"),
        ("BadRegion", "Provided region_name 'x y' doesn't match", "bad_region", "--region"),
        ("ExpiredToken", "", "expired_token", "Sign in again"),
        ("ExpiredTokenException", "", "expired_token", "Sign in again"),
        ("RequestExpired", "", "expired_token", "Sign in again"),
        ("InvalidClientTokenId", "", "bad_credentials", "aws configure"),
        ("UnrecognizedClientException", "", "bad_credentials", "aws configure"),
        ("InvalidAccessKeyId", "", "bad_credentials", "aws configure"),
        ("InvalidToken", "", "bad_credentials", "aws configure"),
        ("SignatureDoesNotMatch", "The request signature we calculated", "bad_credentials", "aws configure"),
        ("SignatureDoesNotMatch", "Signature expired: 2026 is now earlier than 2027", "clock_skew", "clock"),
        ("InvalidSignatureException", "Signature not yet current: 2027 is later", "clock_skew", "clock"),
        ("RequestTimeTooSkewed", "", "clock_skew", "clock"),
        ("AccessDenied", DENIED, "access_denied", "imgpipe policy"),
        ("AccessDeniedException", DENIED, "access_denied", "imgpipe policy"),
        ("Throttling", "", "throttled", "Wait"),
        ("ThrottlingException", "", "throttled", "Wait"),
        ("TooManyRequestsException", "", "throttled", "Wait"),
        ("RequestThrottled", "", "throttled", "Wait"),
        ("SlowDown", "", "throttled", "Wait"),
        (
            "LimitExceeded",
            "Cannot exceed quota for RolesPerAccount: 1000",
            "quota_exceeded",
            "Service Quotas",
        ),
        ("TooManyBuckets", "You have too many.", "quota_exceeded", "Service Quotas"),
        ("Unreachable", "Could not connect to the endpoint URL", "unreachable", "AWS_ENDPOINT_URL"),
        ("NotAws", "Unable to parse response", "not_aws", "AWS_ENDPOINT_URL"),
        ("ValidationException", "One of the values is wrong", "aws_error", "--verbose"),
    ],
)
def test_each_situation_has_its_own_code_and_hint(code: str, message: str, expected: str, hint: str) -> None:
    found = problem(AwsError(code, message, service="iam", operation="create_role"), "create role demo")
    assert found.code == expected
    assert hint in found.hint
    assert found.message.startswith("Could not create role demo: ")
    assert found.message.endswith(".")
    assert "\n" not in found.message + found.hint
    # The user's place has to be named, which is wrong usage; everything else is a failure.
    regions = ("no_region", "bad_region")
    assert found.exit_code is (ExitCode.USAGE if expected in regions else ExitCode.FAILED)


def test_a_missing_permission_is_named_with_its_resource() -> None:
    found = problem(AwsError("AccessDenied", DENIED, service="iam", operation="create_role"))
    assert found.message == (
        "the permission iam:CreateRole is missing for arn:aws:iam::123456789012:role/demo."
    )


USER = "User: arn:aws:iam::123456789012:user/x is not authorized to perform: "


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (
            f"{USER}iam:GetRole on resource: role demo-ingest because no identity-based policy allows it",
            "iam:GetRole is missing for role demo-ingest.",
        ),
        (
            f'{USER}s3:GetBucketTagging on resource: "arn:aws:s3:::demo-uploads" because no policy allows it',
            "s3:GetBucketTagging is missing for arn:aws:s3:::demo-uploads.",
        ),
        (
            "User with accountId: 123456789012 is not authorized to perform CreateLogGroup with Tags. "
            'An additional permission "logs:TagResource" is required.',
            "logs:TagResource is missing.",
        ),
        (
            f"{USER}sqs:createqueue on resource: arn:aws:sqs:eu-west-1:123456789012:demo-failed because no",
            "sqs:CreateQueue is missing for arn:aws:sqs:eu-west-1:123456789012:demo-failed.",
        ),
        (f"{USER}ecs:runtask on resource: *", "ecs:runtask is missing for *."),
    ],
)
def test_each_services_way_of_telling_what_is_missing_is_understood(message: str, missing: str) -> None:
    error = AwsError("AccessDeniedException", message, service="logs", operation="create_log_group")
    assert problem(error).message == f"the permission {missing}"
    assert denied_action(error) == missing.split(" ", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("policy", "kind", "hint"),
    [
        ("a resource-based policy", "resource-based policy", "bucket's policy"),
        ("a service control policy: arn:aws:x", "service control policy", "organization"),
        ("a resource control policy", "resource control policy", "organization"),
        ("a permissions boundary", "permissions boundary", "ask who set it"),
        ("an identity-based policy", "identity-based policy", "Take the Deny out"),
        ("a session policy", "session policy", "sign in without"),
        ("a VPC endpoint policy", "VPC endpoint policy", "where it stands"),
    ],
)
def test_an_explicit_deny_is_no_missing_permission(policy: str, kind: str, hint: str) -> None:
    message = (
        "User: arn:aws:iam::1:user/x is not authorized to perform: s3:DeleteObject on resource: "
        f"arn:aws:s3:::b/k with an explicit deny in {policy}"
    )
    found = problem(AwsError("AccessDenied", message, service="s3", operation="delete_objects"))
    assert found.code == "access_denied"
    assert found.message == (
        f"s3:DeleteObject is explicitly denied for arn:aws:s3:::b/k, by a policy of this kind: {kind}."
    )
    assert hint in found.hint
    assert "Add it" not in found.hint


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("Access Denied because object protected by object lock. ('a b.jpg')", "the object 'a b.jpg'"),
        ("Access Denied because object protected by object lock.", "an object"),
    ],
)
def test_object_lock_is_no_missing_permission(message: str, named: str) -> None:
    error = AwsError("AccessDenied", message, service="s3", operation="delete_objects")
    found = problem(error, "empty bucket b")
    assert found.code == "object_locked"
    assert found.message == f"Could not empty bucket b: S3 Object Lock protects {named} from deletion."
    assert "get-object-retention" in found.hint


def test_a_denial_that_names_no_permission_is_quoted() -> None:
    found = problem(AwsError("AccessDenied", "The KMS key is disabled", service="s3", operation="put_object"))
    assert found.message == "the permission s3:PutObject is missing. AWS says: The KMS key is disabled."


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("s3", "put_object", "s3:PutObject"),
        ("s3", "head_object", "s3:GetObject"),
        ("s3", "head_bucket", "s3:ListBucket"),
        ("s3", "list_objects_v2", "s3:ListBucket"),
        ("s3", "list_object_versions", "s3:ListBucketVersions"),
        ("dynamodb", "create_table", "dynamodb:CreateTable"),
        ("ssm", "get_parameter", "ssm:GetParameter"),
    ],
)
def test_an_answer_that_names_no_permission_gets_it_from_the_call(
    service: str, operation: str, action: str
) -> None:
    found = problem(AwsError("403", "Forbidden", service=service, operation=operation, status=403))
    assert found.code == "access_denied"
    assert f"the permission {action} is missing" in found.message


def test_an_error_nobody_expected_names_the_call_and_the_code() -> None:
    error = AwsError("Odd", "It was\n  odd", service="sqs", operation="create_queue")
    assert problem(error, "create queue q").message == (
        "Could not create queue q: sqs create_queue answered Odd: It was odd."
    )


@pytest.mark.parametrize(
    ("code", "status", "lost"),
    [
        ("Unreachable", 0, True),
        ("InternalError", 500, True),
        ("503", 503, True),
        ("AccessDenied", 403, False),
    ],
)
def test_a_call_without_a_good_answer_may_have_been_carried_out(code: str, status: int, lost: bool) -> None:
    assert AwsError(code, "", status=status).lost is lost


# --- caused for real ------------------------------------------------------------------------------


def _cause(
    place: Place, service: str = "sts", operation: str = "get_caller_identity", **params: Any
) -> Problem:
    with pytest.raises(AwsError) as caught:
        Aws(place).call(service, operation, once=True, **params)
    return problem(caught.value, "sign in")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
def aws_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


def test_without_credentials() -> None:
    assert _cause(Place(region="eu-west-1")).code == "no_credentials"


def test_half_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    assert _cause(Place(region="eu-west-1")).code == "no_credentials"


def test_a_profile_that_is_not_there() -> None:
    found = _cause(Place(region="eu-west-1", profile="nobody"))
    assert found.code == "bad_profile"
    assert "nobody" in found.message


def test_a_config_file_that_cannot_be_read(aws_config: Path) -> None:
    aws_config.write_text("no section\n")
    assert _cause(Place(region="eu-west-1")).code == "bad_profile"


def test_a_sign_in_that_has_not_happened(aws_config: Path) -> None:
    aws_config.write_text(
        "[profile work]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
        "sso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n"
    )
    assert _cause(Place(profile="work")).code == "sso_login_needed"


@pytest.mark.usefixtures("keys")
def test_without_a_region() -> None:
    assert _cause(Place()).code == "no_region"


@pytest.mark.usefixtures("keys")
def test_a_region_that_cannot_be_one() -> None:
    found = _cause(Place(region="eu west 1"))
    assert found.code == "bad_region"
    assert "eu west 1" in found.message


@pytest.mark.usefixtures("keys")
def test_nobody_at_the_endpoint() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    found = _cause(Place(region="eu-west-1", endpoint=f"http://127.0.0.1:{port}"))
    assert found.code == "unreachable"
    assert str(port) in found.message


@pytest.mark.usefixtures("keys")
def test_an_endpoint_that_is_no_url() -> None:
    found = _cause(Place(region="eu-west-1", endpoint="localhost:4566"))
    assert found.code == "unreachable"
    assert "localhost:4566" in found.message


@pytest.mark.usefixtures("keys")
def test_a_parameter_that_the_sdk_refuses() -> None:
    found = _cause(Place(region="eu-west-1"), "ssm", "get_parameter", Name=5)
    assert found.code == "aws_error"
    assert "BadParameters" in found.message


@pytest.fixture
def answering() -> Iterator[Page]:
    with loopback.answering(Page()) as answer:
        yield answer


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            "bad_credentials",
        ),
        (403, "ExpiredToken", "The security token included in the request is expired", "expired_token"),
        (403, "SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", "clock_skew"),
        (403, "AccessDenied", DENIED, "access_denied"),
        (400, "Throttling", "Rate exceeded", "throttled"),
    ],
)
def test_what_sts_answers(answering: Page, status: int, code: str, message: str, expected: str) -> None:
    answering.status = status
    answering.body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>"
    ).encode()
    assert _cause(Place(region="eu-west-1", endpoint=answering.url)).code == expected


@pytest.mark.usefixtures("keys")
def test_what_a_json_service_answers(answering: Page) -> None:
    answering.status = 400
    answering.body = json.dumps({"__type": "AccessDeniedException", "Message": DENIED}).encode()
    found = _cause(
        Place(region="eu-west-1", endpoint=answering.url), "dynamodb", "describe_table", TableName="t"
    )
    assert found.code == "access_denied"
    assert "iam:CreateRole" in found.message


@pytest.mark.usefixtures("keys")
def test_a_head_without_a_body(answering: Page) -> None:
    answering.status = 403
    found = _cause(Place(region="eu-west-1", endpoint=answering.url), "s3", "head_bucket", Bucket="bucket")
    assert found.code == "access_denied"
    assert "s3:ListBucket" in found.message


@pytest.mark.usefixtures("keys")
def test_a_web_page_in_place_of_aws(answering: Page) -> None:
    answering.body = b"<html><p>Sign in to the network<br></html>"
    assert _cause(Place(region="eu-west-1", endpoint=answering.url)).code == "not_aws"


@pytest.mark.usefixtures("keys")
def test_a_web_page_in_place_of_a_listing(answering: Page) -> None:
    answering.body = b"<html><p>Sign in to the network<br></html>"
    aws = Aws(Place(region="eu-west-1", endpoint=answering.url))
    with pytest.raises(AwsError) as caught:
        aws.items("iam", "list_role_policies", "PolicyNames", RoleName="role")
    assert problem(caught.value).code == "not_aws"


def test_a_role_that_the_profile_may_not_take(
    answering: Page, aws_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_config.write_text(
        "[profile base]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n"
        "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = base\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", answering.url)
    answering.status = 403
    denied = DENIED.replace("iam:CreateRole", "sts:AssumeRole")
    answering.body = (
        f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{denied}</Message></Error></ErrorResponse>"
    ).encode()
    with pytest.raises(AwsError) as caught:
        Aws(Place(region="eu-west-1", profile="admin")).credentials()
    assert "the permission sts:AssumeRole is missing" in problem(caught.value).message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (raised.UnauthorizedSSOTokenError(), "sso_login_needed"),
        (raised.SSOTokenLoadError(profile_name="p", error_msg="no token"), "sso_login_needed"),
        (raised.TokenRetrievalError(provider="sso", error_msg="expired"), "sso_login_needed"),
        (raised.LoginRefreshRequired(), "sso_login_needed"),
        (raised.CredentialRetrievalError(provider="process", error_msg="exit 1"), "no_credentials"),
        (raised.ReadTimeoutError(endpoint_url="https://x"), "unreachable"),
        (raised.ConnectionClosedError(endpoint_url="https://x"), "unreachable"),
    ],
)
def test_what_the_sdk_raises_by_itself(error: Exception, expected: str) -> None:
    class Client:
        def get_caller_identity(self) -> None:
            raise error

    aws = Aws(Place(region="eu-west-1"))
    aws._clients["sts", False] = Client()
    with pytest.raises(AwsError) as caught:
        aws.call("sts", "get_caller_identity")
    assert problem(caught.value).code == expected


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "region",
    ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1"],
)
def test_the_endpoints_of_every_partition_are_awss_own(region: str) -> None:
    assert Aws(Place(region=region)).custom_endpoint is None


@pytest.mark.usefixtures("keys")
def test_any_other_endpoint_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://amazonaws.com.example:4566")
    assert Aws(Place(region="eu-west-1")).custom_endpoint == "http://amazonaws.com.example:4566"
