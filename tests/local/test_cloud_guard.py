"""The guard on a real cloud: attacks are refused over HTTP, and what a pipeline needs passes."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.local.guard.access import Rules
from imgpipe_cli.local.guard.guard import Guard
from imgpipe_cli.local.guard.storage import Storage
from imgpipe_cli.local.process.running_cloud import LocalCloud
from tests.support.own_loop import finish

Answer = tuple[int, dict[str, str], bytes]
BUCKET = "guarded-uploads"


def ask(
    cloud: LocalCloud,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint).netloc, timeout=60)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


def relative(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


@pytest.fixture(scope="module")
def s3(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> Iterator[Any]:
    client = connect(stub_cloud, "s3", signature="s3v4")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="page.html", Body=b"<script>1</script>", ContentType="text/html")
    client.put_bucket_cors(
        Bucket=BUCKET,
        CORSConfiguration={"CORSRules": [{"AllowedMethods": ["POST"], "AllowedOrigins": ["*"]}]},
    )
    yield client


def form(fields: dict[str, str], content: bytes) -> tuple[dict[str, str], bytes]:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        + content
        + b"\r\n--x--\r\n"
    )
    return {"Content-Type": "multipart/form-data; boundary=x"}, "".join(parts).encode() + file


def test_a_web_page_cannot_create_a_function(stub_cloud: LocalCloud) -> None:
    scope = "test/20260101/us-east-1/lambda/aws4_request"
    key = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    body = json.dumps(
        {"FunctionName": "drive-by", "Handler": "a.b", "Role": "arn:aws:iam::000000000000:role/x"}
    ).encode()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Authorization": key},
        {},
    ):
        status, got, _ = ask(stub_cloud, "POST", "/2015-03-31/functions", headers, body)
        assert status == 403
        assert "access-control-allow-origin" not in got


def test_ministacks_own_routes_are_closed(stub_cloud: LocalCloud) -> None:
    for method, path in (
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_localstack/health"),
    ):
        assert ask(stub_cloud, method, path)[0] == 403
        assert ask(stub_cloud, method, path, {"Host": "evil.example"})[0] == 403


CODES = {
    ("s3", "list_buckets"): "InvalidAccessKeyId",
    ("sts", "get_caller_identity"): "InvalidClientTokenId",
    ("dynamodb", "list_tables"): "UnrecognizedClientException",
    ("lambda", "list_functions"): "UnrecognizedClientException",
    ("apigatewayv2", "get_apis"): "UnrecognizedClientException",
}


@pytest.mark.parametrize(("service", "operation"), CODES)
@pytest.mark.parametrize("key_id", ["test", "000000000000", "AKIAUNKNOWN"])
def test_keys_not_issued_here_are_refused_in_each_services_words(
    stub_cloud: LocalCloud, connect: Callable[..., Any], service: str, operation: str, key_id: str
) -> None:
    client = connect(stub_cloud, service, key=(key_id, "test", None))
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)()
    assert refused.value.response["Error"]["Code"] == CODES[service, operation]


def test_a_right_key_id_needs_its_secret(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> None:
    client = connect(stub_cloud, "dynamodb", key=(stub_cloud.access_key_id, "guessed", None))
    with pytest.raises(ClientError) as refused:
        client.list_tables()
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_without_a_key_nothing_can_be_read_or_written(stub_cloud: LocalCloud, s3: Any) -> None:
    del s3
    for method, target in (
        ("GET", "/"),
        ("GET", f"/{BUCKET}/page.html"),
        ("PUT", f"/{BUCKET}/x"),
        ("DELETE", f"/{BUCKET}"),
    ):
        assert ask(stub_cloud, method, target)[0] == 403


@pytest.mark.parametrize("prefix", ["\x1b[2J.jpg", "a\n", "\r", "\ufffe"])
def test_nothing_begins_with_what_no_key_may_have(s3: Any, prefix: str) -> None:
    for operation in ("list_object_versions", "list_objects_v2", "list_objects", "list_multipart_uploads"):
        found = getattr(s3, operation)(Bucket=BUCKET, Prefix=prefix)
        assert not {"Versions", "Contents", "Uploads"} & found.keys()
        assert found["IsTruncated"] is False
    assert s3.list_object_versions(Bucket=BUCKET, Prefix="page")["Versions"][0]["Key"] == "page.html"
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.list_object_versions(Bucket="guarded-by-nobody", Prefix="a")


def test_a_form_must_be_signed(stub_cloud: LocalCloud, s3: Any) -> None:
    unsigned = form({"key": "unsigned.jpg"}, b"x")
    assert ask(stub_cloud, "POST", f"/{BUCKET}", *unsigned)[0] == 403
    policy_only = form({"key": "unsigned.jpg", "policy": "e30="}, b"x")
    assert ask(stub_cloud, "POST", f"/{BUCKET}", *policy_only)[0] == 403
    assert "unsigned.jpg" not in {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}


def test_a_signed_form_passes_from_our_own_page_only(stub_cloud: LocalCloud, s3: Any) -> None:
    signed = s3.generate_presigned_post(
        BUCKET, "form.jpg", Conditions=[["content-length-range", 1, 10]], ExpiresIn=60
    )
    headers, body = form(signed["fields"], b"12345")
    assert (
        ask(stub_cloud, "POST", f"/{BUCKET}", {**headers, "Origin": "https://evil.example"}, body)[0] == 403
    )
    assert ask(stub_cloud, "POST", f"/{BUCKET}", {**headers, "Origin": "null"}, body)[0] == 403
    assert ask(stub_cloud, "POST", f"/{BUCKET}", {**headers, "Origin": stub_cloud.endpoint}, body)[0] == 204
    headers, body = form(signed["fields"], b"more than ten bytes")
    assert ask(stub_cloud, "POST", f"/{BUCKET}", headers, body)[0] == 400


def test_presigned_urls_are_verified(stub_cloud: LocalCloud, s3: Any) -> None:
    put = relative(
        s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "put.jpg"}, ExpiresIn=60)
    )
    assert ask(stub_cloud, "PUT", put, body=b"x")[0] == 200
    assert ask(stub_cloud, "PUT", put.replace("put.jpg", "other.jpg"), body=b"x")[0] == 403
    get = relative(
        s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "put.jpg"}, ExpiresIn=60)
    )
    assert ask(stub_cloud, "GET", get, {"Sec-Fetch-Site": "same-origin"})[0] == 200
    assert ask(stub_cloud, "GET", get, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert ask(stub_cloud, "GET", get.replace("Expires=60", "Expires=600"))[0] == 403


def test_a_file_in_a_bucket_cannot_run_script_in_the_pages_origin(stub_cloud: LocalCloud, s3: Any) -> None:
    url = relative(s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "page.html"}))
    status, headers, _ = ask(stub_cloud, "GET", url)
    assert status == 200
    assert headers["content-security-policy"] == "sandbox"


def test_a_preflight_of_our_page_gets_the_buckets_rules(stub_cloud: LocalCloud, s3: Any) -> None:
    del s3
    asked = {"Origin": stub_cloud.endpoint, "Access-Control-Request-Method": "POST"}
    status, headers, _ = ask(stub_cloud, "OPTIONS", f"/{BUCKET}", asked)
    assert (status, headers["access-control-allow-origin"]) == (200, "*")


def test_a_websocket_is_refused(stub_cloud: LocalCloud) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert ask(stub_cloud, "GET", "/", upgrade)[0] == 403


def test_health_says_no_secret_and_stop_needs_the_token(stub_cloud: LocalCloud) -> None:
    status, _, body = ask(stub_cloud, "GET", "/_imgpipe/health")
    assert status == 200
    assert {"proof", "version", "pid", "uptime_s", "queue", "capabilities"} == set(json.loads(body))
    assert stub_cloud.access_key_id.encode() not in body
    assert ask(stub_cloud, "POST", "/_imgpipe/stop")[0] == 403
    assert ask(stub_cloud, "GET", "/_imgpipe/status", {"X-Imgpipe-Token": "guessed"})[0] == 403


@pytest.fixture(scope="module")
def api(stub_cloud: LocalCloud, connect: Callable[..., Any], pipelines: Callable[..., Any]) -> str:
    """An HTTP API whose function returns the event; its id."""
    code = """
import json, os, time
def handler(event, context):
    time.sleep(0.05)
    return {"statusCode": 200, "headers": {"process": str(os.getpid())}, "body": json.dumps(event)}
"""
    made = pipelines(stub_cloud, "guarded-api")
    made.connect("lambda").delete_function(FunctionName="guarded-api")
    arn = made.function("ingest.app.handler", "arn:aws:iam::000000000000:role/guarded-api", code)
    gateway = connect(stub_cloud, "apigatewayv2")
    api_id: str = gateway.create_api(
        Name="echo", ProtocolType="HTTP", CorsConfiguration={"AllowOrigins": ["*"]}
    )["ApiId"]
    integration = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    for key in ("GET /", "GET /result"):
        gateway.create_route(ApiId=api_id, RouteKey=key, Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api_id, StageName="prod", AutoDeploy=True)
    return api_id


def test_the_api_is_open_to_every_page_in_both_spellings(stub_cloud: LocalCloud, api: str) -> None:
    port = stub_cloud.endpoint.rpartition(":")[2]
    by_path = f"/_aws/execute-api/{api}/prod"
    for target, headers in (
        (f"{by_path}/result?key=a", {"Origin": "null"}),
        (f"{by_path}/result?key=a", {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}),
        ("/prod/result?key=a", {"Host": f"{api}.execute-api.localhost:{port}"}),
    ):
        status, got, body = ask(stub_cloud, "GET", target, {**headers, "Authorization": "Bearer t"})
        event = json.loads(body)
        assert (status, event["routeKey"], event["queryStringParameters"]) == (
            200,
            "GET /result",
            {"key": "a"},
        )
        assert "content-security-policy" not in got
    for target in (by_path, f"{by_path}/"):
        assert json.loads(ask(stub_cloud, "GET", target)[2])["routeKey"] == "GET /"


def test_an_apis_host_name_opens_no_other_service(stub_cloud: LocalCloud, api: str) -> None:
    host = {"Host": f"{api}.execute-api.localhost:{stub_cloud.endpoint.rpartition(':')[2]}"}
    for path in ("/v20180820/tags/x", "/iceberg/v1/config", "/_ministack/health", "/2015-03-31/functions"):
        assert ask(stub_cloud, "GET", path, host)[0] == 404


def test_a_client_cannot_say_how_it_came_here(stub_cloud: LocalCloud, api: str) -> None:
    headers = {
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
    }
    body = ask(stub_cloud, "GET", f"/_aws/execute-api/{api}/prod/result", headers)[2]
    assert json.loads(body)["headers"]["x-forwarded-proto"] == "https"
    assert b"evil.example" not in body


def test_many_calls_at_once_share_few_processes(stub_cloud: LocalCloud, api: str) -> None:
    target = f"/_aws/execute-api/{api}/prod/result"
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: ask(stub_cloud, "GET", target), range(24)))
    assert {status for status, _, _ in answers} == {200}
    assert len({headers["process"] for _, headers, _ in answers}) <= 4


def unfinished(
    cloud: LocalCloud, target: str, *lines: str, origin: str = "https://evil.example"
) -> socket.socket:
    """A request whose body has not come yet."""
    port = int(cloud.endpoint.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = (f"POST {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Origin: {origin}", *lines)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def status_of(connection: socket.socket) -> int:
    with connection:
        return int(connection.recv(1000).split()[1])


def test_a_body_without_a_key_is_refused_by_its_length_before_it_is_read(
    stub_cloud: LocalCloud, api: str, s3: Any
) -> None:
    del s3
    too_long = f"Content-Length: {10 * 1024 * 1024 + 1}"
    by_path = f"/_aws/execute-api/{api}/prod/result"
    assert status_of(unfinished(stub_cloud, by_path, too_long)) == 413
    assert status_of(unfinished(stub_cloud, "/_aws/execute-api/aaaaaaaa/x", too_long)) == 404
    status, headers, body = ask(stub_cloud, "POST", "/_aws/execute-api/aaaaaaaa/x", {"Origin": "null"}, b"x")
    assert (status, headers["content-type"], json.loads(body)) == (
        404,
        "application/json",
        {"message": "Not Found"},
    )
    long_form = ("Content-Type: multipart/form-data; boundary=x", f"Content-Length: {16 * 1024 * 1024 + 1}")
    ours = unfinished(stub_cloud, f"/{BUCKET}", *long_form, origin=stub_cloud.endpoint)
    assert status_of(ours) == 413


def test_a_body_that_does_not_tell_its_length_is_counted(stub_cloud: LocalCloud, api: str) -> None:
    connection = unfinished(stub_cloud, f"/_aws/execute-api/{api}/prod/result", "Transfer-Encoding: chunked")
    for _ in range(10):
        connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
    connection.sendall(b"1\r\nx\r\n")
    assert status_of(connection) == 413


def test_who_does_not_finish_a_request_keeps_nobody_from_the_api(stub_cloud: LocalCloud, api: str) -> None:
    target = f"/_aws/execute-api/{api}/prod/result"
    idle = [unfinished(stub_cloud, target, "Content-Length: 10") for _ in range(8)]
    try:
        assert ask(stub_cloud, "GET", target)[0] == 200
    finally:
        for connection in idle:
            connection.close()


def guarded(app: Any, method: str, receive: Any, send: Any, **options: Any) -> None:
    """One request to an API's route through a guard in this process, to its end."""
    guard = Guard(
        app,
        Rules(1, lambda _key: False, lambda _bucket: False, lambda _api: True),
        app,
        verify=lambda _scope, _signed, _body: None,
        storage=Storage(Path(), unsaved=lambda: "", sizes=lambda: (0, 0)),
        api_slots=1,
        rekognition_slots=1,
        **{"on_write": lambda: None, **options},
    )
    path = "/_aws/execute-api/abcd1234/prod/result"
    line = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    finish(guard({**line, "headers": [(b"host", b"127.0.0.1:1")]}, receive, send))


def test_a_body_that_does_not_come_is_waited_for_only_so_long() -> None:
    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("not to be asked")

    guarded(app, "POST", never, send, body_within_s=0.01)
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    ("method", "writes"),
    [("GET", 0), ("HEAD", 0), ("OPTIONS", 0), ("POST", 1), ("PUT", 1), ("PATCH", 1), ("DELETE", 1)],
)
def test_whatever_may_change_something_is_saved(method: str, writes: int) -> None:
    """A removal too: it must not come back after a crash."""
    heard: list[str] = []

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(_message: Any) -> None:
        """Nobody looks at the answer."""

    guarded(app, method, nothing, send, on_write=lambda: heard.append(method))
    assert len(heard) == writes
