"""API Gateway in front of a function, on loopback: each request becomes the event that the function gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.support import loopback

STAGE = "prod"


@contextmanager
def serving(function: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """Ask the function for each request; the API's base URL, with the stage."""

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
