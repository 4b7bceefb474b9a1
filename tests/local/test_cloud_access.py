"""access.py's decisions, without a server: each way in for a web page or a well-known key is shut."""

from __future__ import annotations

import pytest

from imgpipe_cli.local.access import Allowed, Asked, Refused, Rules

RULES = Rules(4599, known_key=lambda key: key in {"AKIAUSER", "ASIAROLE"})
SIGNED = (
    "authorization",
    "AWS4-HMAC-SHA256 Credential=AKIAUSER/20260101/us-east-1/s3/aws4_request, Signature=0",
)
HOST = ("host", "127.0.0.1:4599")
FORM = ("content-type", "multipart/form-data; boundary=x")
API = "/_aws/execute-api/abcd1234/prod/result"


def decide(method: str, target: str, *headers: tuple[str, str]) -> Allowed | Refused:
    path, _, query = target.partition("?")
    if not any(name == "host" for name, _ in headers):
        headers = (HOST, *headers)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return RULES.decide(Asked.of(method, path, query.encode(), raw))


def key(key_id: str) -> tuple[str, str]:
    return SIGNED[0], SIGNED[1].replace("AKIAUSER", key_id)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", (SIGNED, ("host", "evil.example:4599"))),
        ("GET", "/", (SIGNED, ("host", "127.0.0.1:80"))),
        ("GET", "/", (SIGNED, ("host", "127.0.0.1"))),
        ("GET", "/", (SIGNED, ("host", "127.0.0.1.evil.example:4599"))),
        ("GET", "/", (SIGNED, ("host", "evillocalhost:4599"))),
        ("GET", API, (("host", "evil.example:4599"),)),
        ("GET", "/_imgpipe/health", (("host", "evil.example:4599"),)),
        ("GET", "/", (SIGNED, HOST, ("host", "evil.example:4599"))),
        ("POST", "/", (SIGNED, ("origin", "https://evil.example"))),
        ("POST", "/", (SIGNED, ("origin", "null"))),
        ("POST", "/", (SIGNED, ("origin", "http://localhost:3000"))),
        ("POST", "/", (SIGNED, ("origin", "http://evil.localhost:4599"))),
        ("POST", "/", (SIGNED, ("origin", "http://127.0.0.1:4599"), ("origin", "https://evil.example"))),
        ("GET", "/bucket/key?X-Amz-Credential=AKIAUSER/x", (("sec-fetch-site", "cross-site"),)),
        ("GET", "/bucket/key?X-Amz-Credential=AKIAUSER/x", (("sec-fetch-site", "same-site"),)),
        ("OPTIONS", "/", (("origin", "https://evil.example"),)),
        ("GET", "/_imgpipe/health", (("sec-fetch-site", "cross-site"),)),
        ("POST", "/_imgpipe/stop", (("origin", "https://evil.example"),)),
        ("POST", "/", (key("test"),)),
        ("POST", "/", (key("000000000000"),)),
        ("POST", "/", (key(""),)),
        ("POST", "/", (key("AKIAOTHER"),)),
        ("POST", API, (key("test"),)),
        ("POST", "/", (("authorization", "AWS4-HMAC-SHA256 nothing"),)),
        ("POST", "/", (("authorization", "AWS test:signature"),)),
        ("GET", "/bucket/key?AWSAccessKeyId=test&Signature=x", ()),
        ("GET", "/bucket/key?X-Amz-Credential=test%2F2026%2Fs3", ()),
        ("GET", "/bucket/key?x-amz-credential=test%2F2026%2Fs3", ()),
        ("GET", "/bucket/key?X-Amz-Credential=test/x", (SIGNED,)),
        ("POST", "/", (SIGNED, key("test"))),
        ("GET", "/", ()),
        ("GET", "/bucket/key", ()),
        ("PUT", "/bucket/key", ()),
        ("DELETE", "/bucket", ()),
        ("GET", "/", (("authorization", "Bearer token"),)),
        ("POST", "/", (("x-amz-target", "DynamoDB_20120810.ListTables"),)),
        ("POST", "/bucket?delete", (FORM,)),
        ("POST", "/bucket/key", (FORM,)),
        ("POST", "/", (FORM, ("x-amz-target", "DynamoDB_20120810.ListTables"))),
        ("PUT", "/bucket", (FORM,)),
        ("POST", "/_ministack/reset", (SIGNED,)),
        ("POST", "/_ministack/config", (SIGNED,)),
        ("GET", "/_ministack/health", (SIGNED,)),
        ("GET", "/_localstack/health", ()),
        ("POST", "/_ministack/reset", (SIGNED, ("host", "bucket.localhost:4599"))),
        ("GET", "/_aws/other", (SIGNED,)),
    ],
)
def test_refused(method: str, target: str, headers: tuple[tuple[str, str], ...]) -> None:
    assert isinstance(decide(method, target, *headers), Refused)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("POST", "/", (SIGNED,)),
        ("GET", "/bucket/key", (key("ASIAROLE"),)),
        ("PUT", "/bucket/key?X-Amz-Credential=AKIAUSER%2F2026%2Fs3", ()),
        ("GET", "/bucket/key?X-Amz-Credential=AKIAUSER/x", (("sec-fetch-site", "same-origin"),)),
        ("GET", "/bucket/key?X-Amz-Credential=AKIAUSER/x", (("sec-fetch-site", "none"),)),
        ("GET", "/bucket/key?AWSAccessKeyId=AKIAUSER&Signature=x", ()),
        ("GET", "/key", (SIGNED, ("host", "bucket.s3.localhost:4599"))),
        ("GET", "/_key", (SIGNED, ("host", "bucket.localhost:4599"))),
        ("POST", "/bucket", (FORM,)),
        ("POST", "/bucket/", (FORM, ("origin", "http://127.0.0.1:4599"))),
        ("POST", "/bucket", (FORM, ("origin", "http://abcd1234.execute-api.localhost:4599"))),
        ("OPTIONS", "/bucket", (("origin", "http://localhost:4599"),)),
        ("GET", API, (("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"))),
        ("GET", API, (("origin", "null"),)),
        ("GET", API, (("authorization", "Bearer token"),)),
        ("GET", "/prod/result", (("host", "abcd1234.execute-api.localhost:4599"),)),
        ("GET", "/_imgpipe/health", ()),
    ],
)
def test_allowed(method: str, target: str, headers: tuple[tuple[str, str], ...]) -> None:
    assert isinstance(decide(method, target, *headers), Allowed)


def test_an_api_is_known_by_path_and_by_host() -> None:
    assert decide("GET", API) == Allowed(to_api=True)
    by_host = decide("GET", "/prod/x", ("host", "abcd1234.execute-api.localhost:4599"))
    assert by_host == Allowed(to_api=True, api_id="abcd1234")
    assert decide("GET", "/_imgpipe/health") == Allowed(own_route=True)
