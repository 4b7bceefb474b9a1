"""The faults are worded as the services word them: the SDK finds the code, and imgpipe knows it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ClientError

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from tests.crash_matrix.faults import error_answer
from tests.crash_matrix.memory_account import Raw

# The service that a signature names -> one call of it.
CALLS = {
    "s3": ("s3", "list_buckets"),
    "iam": ("iam", "list_roles"),
    "sts": ("sts", "get_caller_identity"),
    "dynamodb": ("dynamodb", "list_tables"),
    "sqs": ("sqs", "list_queues"),
    "ssm": ("ssm", "describe_parameters"),
    "logs": ("logs", "describe_log_groups"),
    "lambda": ("lambda", "list_functions"),
    "apigateway": ("apigatewayv2", "get_apis"),
}


def answered(service: str, kind: str) -> AwsError:
    """What the SDK makes of the fault."""
    name, operation = CALLS[service]
    once = Config(retries={"total_max_attempts": 1})
    session: Any = boto3.Session("test", "test", region_name="eu-west-1")
    client = session.client(name, config=once)

    def answer(request: Any, **_: Any) -> AWSResponse:
        given = error_answer(service, kind)
        headers = HTTPHeaders.from_pairs(given.headers.items())
        return AWSResponse(request.url, given.status, headers, Raw(given.body))

    client.meta.events.register("before-send", answer)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)()
    response = caught.value.response
    error = response["Error"]
    return AwsError(error["Code"], error["Message"], status=response["ResponseMetadata"]["HTTPStatusCode"])


@pytest.mark.parametrize("service", CALLS)
def test_throttling_is_read_as_throttling(service: str) -> None:
    error = answered(service, "throttled")
    assert problem(error).code == "throttled"
    assert error.message == "Rate exceeded"


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("status", [500, 503])
def test_an_error_of_the_service_has_its_code_and_status(service: str, status: int) -> None:
    error = answered(service, f"error_{status}")
    assert error.status == status
    assert error.code not in ("", str(status))
    assert error.lost
