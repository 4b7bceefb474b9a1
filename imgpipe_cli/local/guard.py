"""The first thing that every request meets: access.py's decision, then MiniStack."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from imgpipe_cli.local.access import Allowed, Asked, Refused, Rules
from imgpipe_cli.local.refusals import refusal

LOGGER = logging.getLogger("imgpipe.local.requests")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a client must not tell MiniStack about how it got here.
_STRIPPED = (b"x-forwarded-", b"forwarded", b"x-real-ip")
# A file in a bucket must not run script in the origin that the page and its token live in.
_HARDENING = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox")]
_READING = ("Get", "List", "Describe", "Query", "Scan", "BatchGet", "Detect", "Filter", "Lookup")


class Guard:
    """An ASGI app in front of MiniStack.

    own_routes answers `/_imgpipe/*`; api_slots bounds the requests to functions behind the HTTP API, each
    of which holds a process while it runs; rekognition_slots bounds those to Rekognition, each of which may
    carry a picture: what waits has not been read from its connection yet; on_write hears of every request
    that may have changed the state.
    """

    def __init__(
        self,
        app: App,
        rules: Rules,
        own_routes: App,
        *,
        api_slots: int,
        rekognition_slots: int,
        on_write: Callable[[], None],
    ) -> None:
        self._app = app
        self._rules = rules
        self._own_routes = own_routes
        self._api_slots = asyncio.Semaphore(api_slots)
        self._rekognition_slots = asyncio.Semaphore(rekognition_slots)
        self._on_write = on_write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            # No pipeline uses one, and browsers let any page open them.
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked.of(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        decision = self._rules.decide(asked)
        started = time.monotonic()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if isinstance(decision, Allowed) and not decision.to_api:
                    message["headers"] = [*message.get("headers", ()), *_HARDENING]
            await send(message)

        try:
            if isinstance(decision, Refused):
                await _refuse(asked, decision, watched)
            else:
                await self._pass(asked, decision, scope, receive, watched)
        finally:
            # Without the query: a presigned URL's signature is a secret.
            spent_ms = (time.monotonic() - started) * 1000
            LOGGER.debug("%s %s %d %.0f ms", asked.method, asked.path, status, spent_ms)

    async def _pass(self, asked: Asked, allowed: Allowed, scope: Scope, receive: Receive, send: Send) -> None:
        if allowed.own_route:
            await self._own_routes(scope, receive, send)
            return
        async with self._slot(asked, allowed):
            await self._app(_rewritten(scope, allowed, self._rules.port), receive, send)
        if _writes(asked):
            self._on_write()

    def _slot(self, asked: Asked, allowed: Allowed) -> contextlib.AbstractAsyncContextManager[None]:
        if allowed.to_api:
            return self._api_slots
        if asked.header("x-amz-target").startswith("RekognitionService."):
            return self._rekognition_slots
        return contextlib.nullcontext()


async def _refuse(asked: Asked, refused: Refused, send: Send) -> None:
    headers, body = refusal(asked, refused)
    # The body, if any, is not read: closing says so to the client.
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [*headers, length, (b"connection", b"close")],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _rewritten(scope: Scope, allowed: Allowed, port: int) -> Scope:
    """The request as MiniStack is to see it.

    x-forwarded-proto: loopback is as private as TLS, so a TLS-only bucket policy lets the functions in,
    as on AWS. A request to an API's own host name becomes the path style: on that host MiniStack serves
    other services' paths too, some of them without a key.
    """
    headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(_STRIPPED)]
    headers.append((b"x-forwarded-proto", b"https"))
    changed: dict[str, Any] = {"headers": headers}
    prefix = f"/_aws/execute-api/{allowed.api_id}" if allowed.api_id else ""
    if prefix:
        changed["headers"] = [
            (name, f"127.0.0.1:{port}".encode() if name.lower() == b"host" else value)
            for name, value in headers
        ]
    path, raw_path = prefix + scope["path"], prefix.encode() + scope["raw_path"]
    if allowed.to_api and path.count("/") == 3:
        # Without the last slash MiniStack takes the whole for an object in a bucket named `_aws`.
        path, raw_path = path + "/", raw_path + b"/"
    return {**scope, **changed, "path": path, "raw_path": raw_path}


def _writes(asked: Asked) -> bool:
    """Whether a request may have changed something worth saving; when in doubt, yes."""
    if asked.method in ("GET", "HEAD", "OPTIONS"):
        return False
    operation = asked.header("x-amz-target").rpartition(".")[2]
    return not operation.startswith(_READING)
