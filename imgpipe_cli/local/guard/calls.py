"""Which call a signed request makes: it must be named once, in the place of its service's protocol.

MiniStack takes the IAM action that it checks from the first place that names one (query, form, X-Amz-Target,
path) and its services read the call from other places. A request with two names would be checked as one call
and answered as another.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qs

from imgpipe_cli.local.guard.access import Asked, Refused, Signed

# X-Amz-Target's first part: the service whose signature it needs. All others are no part of the local cloud.
_TARGETS = {
    "AWSEvents": "events",
    "AmazonSQS": "sqs",
    "AmazonSSM": "ssm",
    "DynamoDBStreams_20120810": "dynamodb",
    "DynamoDB_20120810": "dynamodb",
    "GraniteServiceVersion20100801": "monitoring",
    "Logs_20140328": "logs",
    "RekognitionService": "rekognition",
    "ResourceGroupsTaggingAPI_20170126": "tagging",
    "TrentService": "kms",
}
_TARGET = re.compile(r"(\w+)\.([A-Za-z]+)", re.ASCII)
_BY_FORM = frozenset({"iam", "monitoring", "sns", "sqs", "sts"})
_BY_PATH = frozenset({"apigateway", "execute-api", "lambda", "s3"})


def misnamed(asked: Asked, signed: Signed, body: bytes) -> Refused | None:
    """Why it is not clear which call of the service this is; None when it is."""
    content_type = asked.header("content-type").lower()
    is_form = "x-www-form-urlencoded" in content_type
    actions = parse_qs(body.decode("utf-8", "replace")).get("Action", ()) if is_form else ()
    hidden = "Action" in asked.query or (is_form and _packed(asked))
    if not hidden and _named_once(asked, signed.service, content_type, actions):
        return None
    return Refused(
        "AccessDenied", f"The request does not name one call of {signed.service}, as its protocol has it."
    )


def _packed(asked: Asked) -> bool:
    """Whether MiniStack unpacks the body first: it would find another form than the one that is seen here."""
    in_chunks = asked.header("x-amz-content-sha256").startswith("STREAMING-")
    return in_chunks or bool({"content-encoding", "x-amz-decoded-content-length"} & asked.headers.keys())


def _named_once(asked: Asked, service: str, content_type: str, actions: Collection[str]) -> bool:
    if "x-amz-target" in asked.headers:
        found = _TARGET.fullmatch(asked.header("x-amz-target"))
        is_json = content_type.startswith("application/x-amz-json-")
        return bool(found and is_json and not actions and _TARGETS.get(found[1]) == service)
    if service in _BY_FORM:
        return asked.method == "POST" and len(actions) == 1
    return service in _BY_PATH and not actions
