"""A refusal in the words of the service that was asked, so that boto3 and `aws` show more than 403."""

from __future__ import annotations

import json
import re
import uuid
from xml.sax.saxutils import escape

from imgpipe_cli.local.access import Asked, Refused

_SCOPE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/([a-z0-9-]+)/")
_QUERY_SERVICES = frozenset({"iam", "sts", "sns", "monitoring", "cloudformation"})
# The same failure has another name in each protocol.
_S3_CODES = {"InvalidClientTokenId": "InvalidAccessKeyId", "MissingAuthenticationToken": "AccessDenied"}
_JSON_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "AccessDenied": "AccessDeniedException",
}


def refusal(asked: Asked, refused: Refused) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body; the status is always 403."""
    request_id = str(uuid.uuid4())
    service = _service(asked)
    if service == "s3":
        code = _S3_CODES.get(refused.code, refused.code)
        text = f"<Error><Code>{code}</Code><Message>{escape(refused.message)}</Message></Error>"
        return _headers("application/xml", request_id), text.encode()
    if service in _QUERY_SERVICES:
        error = f"<Type>Sender</Type><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
        text = f"<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        return _headers("text/xml", request_id), text.encode()
    code = _JSON_CODES.get(refused.code, refused.code)
    headers = [*_headers("application/json", request_id), (b"x-amzn-errortype", code.encode())]
    return headers, json.dumps({"__type": code, "message": refused.message}).encode()


def _service(asked: Asked) -> str:
    if found := _SCOPE.search(asked.header("authorization")):
        return found[1]
    if "x-amz-target" in asked.headers or "json" in asked.header("content-type"):
        return "json"
    return "iam" if "x-www-form-urlencoded" in asked.header("content-type") else "s3"


def _headers(content_type: str, request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", content_type.encode()), (b"x-amzn-requestid", request_id.encode())]
