"""HTTP API events (payload format 2.0) in, responses out: parsing, errors, the token, security headers.

A function calls `respond` with its table of routes. Routes are chosen by `routeKey`, never by `rawPath`: AWS
puts the name of the stage into the path, and other endpoints do not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from shared.aws_clients import is_late
from shared.log import log, log_failure

Response = dict[str, Any]
"""`{"statusCode", "headers", "body", "isBase64Encoded"}` as API Gateway reads it."""

_MAX_QUERY_FIELDS = 20
_EVERYWHERE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_DATA = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    # Data is never a page: should a browser show it, nothing in it may run or be framed.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class ApiError(Exception):
    """An answer other than success: HTTP status, a code for programs and a sentence for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def busy() -> ApiError:
    """What was asked for could not be read in time."""
    return ApiError(503, "busy", "The results could not be read in time. Try again.", {"Retry-After": "1"})


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a route needs of an event.

    `headers` have lower-case names; `query` holds the first value of each name, `every` all of them.
    """

    route: str
    query: Mapping[str, str] = field(default_factory=dict)
    every: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Route = Callable[[Request], Response]
Routes = Callable[[], Mapping[str, Route]]


def parse_request(event: Mapping[str, Any]) -> Request:
    """Read an event. Parts that a request does not have are absent from it, not empty.

    Raises ApiError 400 when the query or the body cannot be read.
    """
    every = _query(event.get("rawQueryString") or "")
    return Request(
        route=event["routeKey"],
        query={name: values[0] for name, values in every.items()},
        every=every,
        path=event.get("pathParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=_body(event),
    )


def _query(raw: str) -> dict[str, tuple[str, ...]]:
    # `queryStringParameters` joins repeated names with commas, which a key may itself contain, and endpoints
    # differ in how they decode a plus sign there. The raw text leaves no doubt: "+" is a space, "%2B" a plus.
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS, errors="strict")
    except UnicodeDecodeError as error:
        # Replaced by question marks, it would ask for another key.
        raise ApiError(400, "invalid_query", "The query is not UTF-8, percent-encoded.") from error
    except ValueError as error:
        raise ApiError(400, "invalid_query", "The query has too many parameters.") from error
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "replace")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "invalid_body", "The body is not valid base64.") from error


def json_object(body: bytes, max_bytes: int, fields: str) -> dict[str, Any]:
    """The body of a request. Raises ApiError 400 for anything but a JSON object of at most `max_bytes`.

    fields: names what the object has, for people.
    """
    try:
        document = json.loads(body) if len(body) <= max_bytes else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ApiError(
            400, "invalid_body", f"Send a JSON object with {fields}, of at most {max_bytes} bytes."
        )
    return document


def has_token(request: Request, token_sha256: str) -> bool:
    """Whether the request carries the token whose SHA-256 (hexadecimal) is given.

    An empty `token_sha256` is nobody's: a function that lost its setting must not become public.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    digest = hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()
    # Both sides are ASCII digests, so the comparison takes the same time wherever they differ.
    matches = hmac.compare_digest(digest, token_sha256.lower())
    return matches and scheme.lower() == "bearer"


def require_token(request: Request, token_sha256: str) -> None:
    """Raise ApiError 401 unless the request carries the token."""
    if not has_token(request, token_sha256):
        raise ApiError(
            401,
            "unauthorized",
            "This needs the pipeline's access token: send it as 'Authorization: Bearer <token>'.",
            {"WWW-Authenticate": "Bearer"},
        )


def json_response(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that no cache may keep. Raises ValueError for NaN, which JSON does not have."""
    body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return response(status, body, {**_DATA, **(headers or {})})


def response(status: int, body: str, headers: Mapping[str, str]) -> Response:
    return {
        "statusCode": status,
        "headers": {**_EVERYWHERE, **headers},
        "body": body,
        "isBase64Encoded": False,
    }


def _error(error: ApiError) -> Response:
    document = {"error": {"code": error.code, "message": error.message}}
    return json_response(error.status, document, error.headers)


def respond(event: Mapping[str, Any], context: object, routes: Routes) -> Response:
    """Answer one event by the route it names.

    Every failure becomes JSON, and an unexpected one says nothing inside; so does one in making the routes,
    which reads the function's settings.
    """
    request_id = getattr(context, "aws_request_id", None)
    try:
        request = parse_request(event)
        route = routes().get(request.route)
        if route is None:
            raise ApiError(404, "not_found", "There is nothing here.")
        return route(request)
    except ApiError as error:
        if error.status != 404:  # who waits for a result asks again and again: that would hide the rest
            log("INFO", "refused", requestId=request_id, route=event.get("routeKey"), code=error.code)
        return _error(error)
    except Exception as error:  # the last line before the client: anything else would be shown as a bare 500
        log_failure("request_failed", error, requestId=request_id, route=event.get("routeKey"))
        if is_late(error):
            return _error(ApiError(503, "busy", "There is too much to do. Try again.", {"Retry-After": "1"}))
        return _error(ApiError(500, "internal", "Something went wrong here. Try again; the logs say more."))
