"""AWS clients whose worst case is known.

botocore waits 60 s to connect and 60 s for each read, five times over: longer than any function here may run.
So every client is given its own short timeouts, and `worst_case_s` says what a call can take at most. The
arithmetic per function stands beside its timeouts, and a test does it again from these same values.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long one kind of call may take: seconds to connect, seconds for an answer, tries in total."""

    connect_s: float
    read_s: float
    attempts: int = 3

    def worst_case_s(self) -> float:
        """Seconds until the SDK gives up: every try times out, with the longest pauses between them.

        botocore's standard mode pauses a random part of 1, 2, 4, ... s (at most 20 s) before each further
        try.
        """
        pauses_s = sum(min(2.0**retry, 20.0) for retry in range(self.attempts - 1))
        return self.attempts * (self.connect_s + self.read_s) + pauses_s

    def config(self, *, connections: int = 10) -> Config:
        return Config(
            connect_timeout=self.connect_s,
            read_timeout=self.read_s,
            retries={"mode": "standard", "total_max_attempts": self.attempts},
            max_pool_connections=connections,
        )


THROTTLE_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "SlowDown",
        "RequestLimitExceeded",
        "LimitExceededException",
        "TooManyRequestsException",
    }
)
"""The service has too much to do at the moment."""


def aws_code(error: Exception) -> str:
    """The error code that AWS sent, or "" when there was no answer."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""


def is_late(error: Exception) -> bool:
    """Whether the service has too much to do or is too slow, which passes; a refusal is neither."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or aws_code(error) in THROTTLE_CODES | {"RequestTimeout"}
    return isinstance(error, (HTTPClientError, NoConnection, IncompleteReadError))


@cache
def session() -> boto3.Session:
    """One session for all clients, so that the service models and credentials are loaded once."""
    return boto3.Session()


def dynamodb_client(timeouts: Timeouts, *, connections: int = 10) -> DynamoDBClient:
    return session().client("dynamodb", config=timeouts.config(connections=connections))


def s3_client(timeouts: Timeouts, *, connections: int = 10) -> S3Client:
    """An S3 client whose signed URLs work at once and everywhere.

    botocore's defaults sign with the old SigV2, or for the global host name, which redirects for a while
    after a bucket is made; browsers do not follow that in a cross-origin request. An endpoint of the user's
    own has no host name for each bucket, so there the bucket goes into the path.
    """
    custom = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    style = Config(signature_version="s3v4", s3={"addressing_style": "path" if custom else "virtual"})
    return session().client("s3", config=timeouts.config(connections=connections).merge(style))
