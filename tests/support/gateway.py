"""API Gateway in front of a function: the event that it makes of a request, and the function's answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support import loopback

STAGE = "prod"
TOKEN = "correct horse battery staple"
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


Call = Callable[..., Answered]


def send(
    serve: Callable[..., dict[str, Any]],
    deps: Any,
    route: str,
    query: Mapping[str, str] | str = "",
    *,
    body: str | None = None,
    base64: bool = False,
    token: str | None = f"Bearer {TOKEN}",
    path: Mapping[str, str] | None = None,
) -> Answered:
    """Send a request as API Gateway would, with the token unless told otherwise."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": "/prod/anything",
        "rawQueryString": query if isinstance(query, str) else urlencode(query, doseq=True),
        "headers": {"Authorization": token} if token is not None else {},
        "requestContext": {"stage": "prod"},
        "isBase64Encoded": base64,
    }
    if body is not None:
        event["body"] = body
    if path is not None:
        event["pathParameters"] = path
    answer = serve(event, SimpleNamespace(aws_request_id="request-1"), deps)
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
    assert answer["headers"]["Referrer-Policy"] == "no-referrer"
    return Answered(answer["statusCode"], answer["headers"], answer["body"])


@contextmanager
def serving(function: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """On loopback: ask the function for each request. The API's base URL, with the stage."""

    class Gateway(loopback.Handler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            event = {
                "routeKey": f"{self.command} {parts.path.removeprefix(f'/{STAGE}')}",
                "rawQueryString": parts.query,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "requestContext": {"stage": STAGE},
                "body": self.body().decode(),
            }
            answer = function(event)
            self.send(answer["statusCode"], str(answer["body"]).encode())

        do_POST = do_GET

    with loopback.serving(Gateway) as url:
        yield f"{url}/{STAGE}"
