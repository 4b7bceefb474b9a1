"""access.py's decisions, without a server: each way in for a web page or a well-known key is shut."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from imgpipe_cli.local.guard.access import Allowed, Asked, Refused, Rules, Signed

USER, ROLE = "AKIA0000000000000001", "ASIA0000000000000002"
RULES = Rules(
    4599,
    known_key=lambda key: key in {USER, ROLE},
    bucket_exists=lambda name: name in {"bucket", "iam"},
    api_exists=lambda api: api == "abcd1234",
)
SIGNED = (
    "authorization",
    f"AWS4-HMAC-SHA256 Credential={USER}/20260101/us-east-1/s3/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
)
QUERY = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"{USER}/20260101/us-east-1/s3/aws4_request",
    "X-Amz-Date": "20260101T000000Z",
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "0" * 64,
}
LINK = f"/bucket/key?{urlencode(QUERY)}"
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
    return SIGNED[0], SIGNED[1].replace(USER, key_id)


def link(**changed: str) -> str:
    return (
        f"/bucket/key?{urlencode({**QUERY, **{f'X-Amz-{name}': value for name, value in changed.items()}})}"
    )


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
        ("GET", LINK, (("sec-fetch-site", "cross-site"),)),
        ("GET", LINK, (("sec-fetch-site", "same-site"),)),
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
        ("POST", "/", (("authorization", f"AWS {USER}:signature"),)),
        ("POST", "/", ((SIGNED[0], SIGNED[1].replace("HMAC-SHA256", "ECDSA-P256-SHA256")),)),
        ("POST", "/", ((SIGNED[0], SIGNED[1].replace("HMAC-SHA256", "FOO")),)),
        ("POST", "/", ((SIGNED[0], SIGNED[1].replace("host;", "")),)),
        ("POST", "/", ((SIGNED[0], SIGNED[1] + f", Credential={ROLE}/x"),)),
        ("GET", f"/bucket/key?AWSAccessKeyId={USER}&Signature=x&Expires=9999999999", ()),
        ("GET", f"/bucket/key?awsaccesskeyid={USER}", ()),
        ("GET", f"/?X-AMZ-CREDENTIAL={USER}", ()),
        ("GET", f"/?X%2DAmz%2DCredential={USER}", ()),
        ("GET", LINK.replace("X-Amz-Credential", "x-amz-credential"), ()),
        ("GET", LINK.replace("X-Amz-Signature", "x-amz-signature"), ()),
        ("GET", LINK + f"&X-Amz-Credential={ROLE}", ()),
        ("GET", LINK + f"&x-amz-credential={ROLE}", ()),
        ("GET", LINK + f"&AWSAccessKeyId={ROLE}", ()),
        ("GET", LINK.partition("&X-Amz-Signature")[0], ()),
        ("GET", link(Credential="test/20260101/us-east-1/s3/aws4_request"), ()),
        ("GET", link(Credential=f"{USER}/20260101/us-east-1/lambda/aws4_request"), ()),
        ("GET", link(Algorithm="AWS4-ECDSA-P256-SHA256"), ()),
        ("GET", link(SignedHeaders="x-amz-date"), ()),
        ("PUT", LINK, (("x-amz-copy-source", "/other/key"),)),
        ("GET", LINK, (SIGNED,)),
        ("GET", LINK, (("authorization", "Bearer x"),)),
        ("GET", f"{API}?{LINK.partition('?')[2]}", (("authorization", "Bearer x"),)),
        ("GET", API.replace("abcd1234", "zzzz9999"), ()),
        ("POST", "/", (SIGNED, key("test"))),
        ("GET", "/", ()),
        ("GET", "/bucket/key", ()),
        ("PUT", "/bucket/key", ()),
        ("DELETE", "/bucket", ()),
        ("GET", "/", (("authorization", "Bearer token"),)),
        ("POST", "/", (("x-amz-target", "DynamoDB_20120810.ListTables"),)),
        ("POST", "/bucket?delete", (FORM,)),
        ("POST", "/bucket/key", (FORM,)),
        ("POST", "/absent", (FORM,)),
        ("POST", "/", (FORM,)),
        ("POST", "/", (FORM, ("host", "iam.us-east-1.localhost:4599"))),
        ("POST", "/", (FORM, ("host", "sts.localhost:4599"))),
        ("POST", "/bucket", (FORM, ("host", "iam.localhost:4599"))),
        ("POST", "/bucket", (FORM, ("authorization", "Bearer x"))),
        ("OPTIONS", "/", ()),
        ("OPTIONS", "/bucket/key", ()),
        ("POST", "http://127.0.0.1:4599/bucket", (FORM,)),
        ("GET", "/", (SIGNED, ("host", "user@127.0.0.1:4599"))),
        ("GET", "/_aws/lambda-url/x/", (SIGNED, ("host", "bucket.localhost:4599"))),
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
        ("GET", "/bucket/key", (key(ROLE),)),
        ("PUT", LINK, ()),
        ("GET", LINK + "&X-Amz-Security-Token=t&versionId=v", ()),
        ("PUT", link(SignedHeaders="host;x-amz-meta-a"), (("x-amz-meta-a", "b"),)),
        ("GET", LINK, (("sec-fetch-site", "same-origin"),)),
        ("GET", LINK, (("sec-fetch-site", "none"),)),
        ("GET", "/key", (SIGNED, ("host", "bucket.s3.localhost:4599"))),
        ("GET", "/_key", (SIGNED, ("host", "bucket.localhost:4599"))),
        ("POST", "/bucket", (FORM,)),
        ("POST", "/bucket/", (FORM, ("origin", "http://127.0.0.1:4599"))),
        ("POST", "/bucket", (FORM, ("origin", "http://abcd1234.execute-api.localhost:4599"))),
        ("POST", "/", (FORM, ("host", "bucket.s3.localhost:4599"))),
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


@pytest.mark.parametrize(
    ("start", "headers"),
    [("/bucket/", (SIGNED,)), ("/", (SIGNED, ("host", "bucket.s3.localhost:4599")))],
    ids=["by-path", "by-host"],
)
@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_key_of_more_than_1024_bytes_is_too_long(
    start: str, headers: tuple[tuple[str, str], ...], letter: str
) -> None:
    longest = letter * (1024 // len(letter.encode()))
    for method in ("PUT", "GET"):
        assert isinstance(decide(method, start + longest, *headers), Allowed)
        refused = decide(method, start + longest + "x", *headers)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.status) == ("KeyTooLongError", 400)


def test_an_api_is_known_by_path_and_by_host() -> None:
    assert decide("GET", API) == Allowed("api", api="abcd1234")
    by_host = decide("GET", "/prod/x", ("host", "abcd1234.execute-api.localhost:4599"))
    assert by_host == Allowed("api", api="abcd1234", api_host=True)
    assert decide("GET", "/_imgpipe/health") == Allowed("own")


def test_a_form_is_the_buckets_that_it_names_whatever_the_host() -> None:
    for path, host in (("/bucket/", "127.0.0.1"), ("/", "bucket.localhost"), ("/", "bucket.s3.localhost")):
        assert decide("POST", path, FORM, ("host", f"{host}:4599")) == Allowed("form", bucket="bucket")
    # A bucket may have the name of a service: the guard passes its form on by path, never by that host.
    assert decide("POST", "/", FORM, ("host", "iam.localhost:4599")) == Allowed("form", bucket="iam")


def test_the_caller_is_the_one_that_signed() -> None:
    assert decide("GET", "/", key(ROLE)) == Allowed("service", Signed(ROLE, "s3"))
    assert decide("GET", LINK) == Allowed("service", Signed(USER, "s3", in_query=True))
