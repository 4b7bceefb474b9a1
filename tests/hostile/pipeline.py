"""A whole pipeline for hostile input: the functions' own code behind a server on loopback, on moto's cloud.

The command line talks to it as it does to the real one; S3's events are handed to the ingest function by the
test, encoded as S3 encodes them.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from get_result import app as get_result_app
from tests.support.cli import remember
from tests.support.function_cloud import Cloud, played_cloud
from tests.support.gateway import TOKEN, TOKEN_SHA256
from tests.support.loopback import Handler, serving
from web import app as web_app

PROJECT = "imgpipe"


@dataclass(frozen=True)
class Answered:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """That of an error, empty for a success."""
        return "" if self.status < 400 else str(self.json["error"]["code"])


@dataclass(frozen=True)
class Pipeline:
    cloud: Cloud
    url: str

    def remember(self) -> None:
        """What `up` would have left on this machine."""
        remember(self.url, project=PROJECT, token=TOKEN)

    def ask(
        self,
        target: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """One request with exactly this path and query, with the token unless headers say otherwise."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
        sent = {"Authorization": f"Bearer {TOKEN}"} if headers is None else dict(headers)
        try:
            connection.request(method, parts.path + target, body, sent)
            answer = connection.getresponse()
            return Answered(answer.status, answer.read())
        finally:
            connection.close()

    def result(self, key: str) -> Answered:
        return self.ask(f"/result?key={quote(key, safe='')}")


@contextmanager
def refusing() -> Iterator[str]:
    """The URL of an AWS that knows nobody's keys: a command that gets so far ends there, and at once."""

    class Refusing(Handler):
        def do_POST(self) -> None:
            self.body()
            text = "<Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>No.</Message></Error>"
            self.send(403, f"<ErrorResponse>{text}</ErrorResponse>".encode())

    with serving(Refusing) as url:
        yield url


def answer(cloud: Cloud, method: str, target: str, headers: Mapping[str, str], body: str) -> dict[str, Any]:
    """What API Gateway would give: the function's answer to the event that it makes of a request."""
    path, _, query = target.partition("?")
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path.removeprefix('/prod')}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers),
        "body": body,
        "isBase64Encoded": False,
    }
    if event["routeKey"] == "GET /result":
        config = get_result_app.Config.from_environment(
            {**cloud.environment, "PUBLIC_RESULTS": "true", "TOKEN_SHA256": TOKEN_SHA256}
        )
        needs = get_result_app.Needs(config=config, results=cloud.results)
        return get_result_app.serve(event, None, needs)
    return web_app.serve(event, None, cloud.web())


@contextmanager
def pipeline(kind: str) -> Iterator[Pipeline]:
    """kind: where its results are, "table" or "bucket"."""
    with played_cloud(kind) as cloud:
        cloud.keep_versions()

        class Gateway(Handler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                given = {name.lower(): value for name, value in self.headers.items()}
                found = answer(cloud, self.command, self.path, given, self.body().decode("utf-8", "replace"))
                self.send(found["statusCode"], str(found["body"]).encode())

            do_POST = do_GET

        with serving(Gateway) as url:
            yield Pipeline(cloud, f"{url}/prod")
