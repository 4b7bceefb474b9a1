"""A refusal in the words of the service that was asked, so that boto3 and `aws` show more than 403."""

from __future__ import annotations

import json
import re
import uuid
from xml.sax.saxutils import escape

from imgpipe_cli.local.guard.access import Asked, Refused
from imgpipe_cli.local.guard.signatures import Answer

_SCOPE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/([a-z0-9-]+)/")
_QUERY_SERVICES = frozenset({"iam", "sts", "sns", "monitoring", "cloudformation"})
# The same failure has another name in each protocol.
_S3_CODES = {"InvalidClientTokenId": "InvalidAccessKeyId", "MissingAuthenticationToken": "AccessDenied"}
_JSON_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "AccessDenied": "AccessDeniedException",
}


def refusal(asked: Asked, refused: Refused) -> Answer:
    """Status, headers and body."""
    request_id = str(uuid.uuid4())
    service = _service(asked)
    if service == "execute-api":
        headers = {"content-type": "application/json", "apigw-requestid": request_id}
        return refused.status, headers, json.dumps({"message": refused.message}).encode()
    if service == "s3":
        code = _S3_CODES.get(refused.code, refused.code)
        text = f"<Error><Code>{code}</Code><Message>{escape(refused.message)}</Message></Error>"
        return refused.status, _headers("application/xml", request_id), text.encode()
    if service in _QUERY_SERVICES:
        error = f"<Type>Sender</Type><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
        text = f"<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        return refused.status, _headers("text/xml", request_id), text.encode()
    code = _JSON_CODES.get(refused.code, refused.code)
    headers = {**_headers("application/json", request_id), "x-amzn-errortype": code}
    return refused.status, headers, json.dumps({"__type": code, "message": refused.message}).encode()


def _service(asked: Asked) -> str:
    if asked.path.startswith("/_aws/execute-api/") or ".execute-api." in asked.header("host"):
        return "execute-api"
    if found := _SCOPE.search(asked.header("authorization")):
        return found[1]
    if "x-amz-target" in asked.headers or "json" in asked.header("content-type"):
        return "json"
    return "iam" if "x-www-form-urlencoded" in asked.header("content-type") else "s3"


def _headers(content_type: str, request_id: str) -> dict[str, str]:
    return {"content-type": content_type, "x-amzn-requestid": request_id}
