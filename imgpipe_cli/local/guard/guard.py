"""The first thing that every request meets: access.py's decision, the body, the signature, then MiniStack."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from imgpipe_cli.local.guard.access import OWN_NAMES, Allowed, Asked, Refused, Rules, Signed
from imgpipe_cli.local.guard.anonymous import anonymously
from imgpipe_cli.local.guard.asgi import App, Message, Receive, Scope, Send
from imgpipe_cli.local.guard.bodies import read_body, replayed, told_size
from imgpipe_cli.local.guard.calls import misnamed
from imgpipe_cli.local.guard.empty_listings import empty_listing
from imgpipe_cli.local.guard.refusals import refusal
from imgpipe_cli.local.guard.room import Room
from imgpipe_cli.local.guard.signatures import Answer, Verify
from imgpipe_cli.local.guard.storage import Storage, stores

LOGGER = logging.getLogger("imgpipe.local.requests")

# What a client must not tell MiniStack about how it got here.
_STRIPPED = (b"x-forwarded-", b"forwarded", b"x-real-ip")
# All that a form, or its preflight, has to say.
_OF_A_FORM = (b"content-type", b"content-length", b"transfer-encoding", b"origin", b"access-control-request-")
# A file in a bucket must not run script in the origin that the page and its token live in.
_HARDENING = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox")]
_READING = ("Get", "List", "Describe", "Query", "Scan", "BatchGet", "Detect", "Filter", "Lookup")

_MB = 1024 * 1024
_MOST_BYTES = {
    "api": 10 * _MB,  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
    "form": 16 * _MB,  # a picture of at most 15 MB and the form's fields
    "service": 100 * _MB,  # a function's zip may have 50 MB, and is sent in base64
}
# All bodies in memory at once, of callers without a key and of those who name one.
_KEYLESS_BYTES = 64 * _MB
_NAMED_BYTES = 256 * _MB
_ANONYMOUS_ACTIONS = {"api": "execute-api:Invoke", "form": "s3:PutObject", "service": ""}


class Guard:
    """An ASGI app in front of MiniStack.

    verify checks signatures; storage knows whether what is stored can be kept; own_routes answers
    `/_imgpipe/*`; api_slots bounds the requests to functions behind the HTTP API, each of which holds a
    process while it runs; rekognition_slots bounds those to Rekognition, once their signatures are verified;
    on_write hears of every request that may have changed the state.
    """

    def __init__(
        self,
        app: App,
        rules: Rules,
        own_routes: App,
        *,
        verify: Verify,
        storage: Storage,
        api_slots: int,
        rekognition_slots: int,
        on_write: Callable[[], None],
        body_within_s: float = 60,
    ) -> None:
        self._app = app
        self._rules = rules
        self._own_routes = own_routes
        self._verify = verify
        self._storage = storage
        self._api_slots = asyncio.Semaphore(api_slots)
        self._rekognition_slots = asyncio.Semaphore(rekognition_slots)
        self._keyless_room = Room(_KEYLESS_BYTES)
        self._named_room = Room(_NAMED_BYTES)
        self._on_write = on_write
        self._body_within_s = body_within_s

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
                if isinstance(decision, Allowed) and decision.to != "api":
                    message["headers"] = [*message.get("headers", ()), *_HARDENING]
            await send(message)

        try:
            if isinstance(decision, Refused):
                await _refuse(refusal(asked, decision), watched)
            elif decision.to == "own":
                await self._own_routes(scope, receive, watched)
            else:
                await self._pass(asked, decision, scope, receive, watched)
        finally:
            # Without the query: a presigned URL's signature is a secret.
            spent_ms = (time.monotonic() - started) * 1000
            LOGGER.debug("%s %s %d %.0f ms", asked.method, asked.path, status, spent_ms)

    async def _pass(self, asked: Asked, allowed: Allowed, scope: Scope, receive: Receive, send: Send) -> None:
        most_bytes = _MOST_BYTES[allowed.to]
        room = self._named_room if allowed.signed else self._keyless_room
        async with room.of(told_size(asked, most_bytes)) as place:
            body = await read_body(asked, receive, place, most_bytes=most_bytes, within_s=self._body_within_s)
            if isinstance(body, Refused):
                await _refuse(refusal(asked, body), send)
            elif allowed.signed and (answer := self._refusal(asked, allowed, allowed.signed, scope, body)):
                await _refuse(answer, send)
            elif stores(asked, allowed, body):
                picture = allowed.signed is None or allowed.signed.service == "s3"
                async with self._storage.room_for(len(body), picture=picture) as why:
                    if why:
                        await _refuse(_not_kept(asked, why), send)
                    else:
                        await self._in_turn(asked, allowed, scope, replayed(body, receive), send)
            else:
                await self._in_turn(asked, allowed, scope, replayed(body, receive), send)

    async def _in_turn(
        self, asked: Asked, allowed: Allowed, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # Only now: who is slow to send what belongs to a request, or not who they say they are, keeps no
        # others from being answered.
        async with self._slots(allowed):
            await self._to_app(asked, allowed, scope, receive, send)

    def _slots(self, allowed: Allowed) -> AbstractAsyncContextManager[None]:
        if allowed.to == "api":
            return self._api_slots
        is_rekognition = allowed.signed is not None and allowed.signed.service == "rekognition"
        return self._rekognition_slots if is_rekognition else contextlib.nullcontext()

    async def _to_app(
        self, asked: Asked, allowed: Allowed, scope: Scope, receive: Receive, send: Send
    ) -> None:
        seen = _rewritten(scope, allowed, self._rules.port)
        with (
            anonymously("" if allowed.signed else _ANONYMOUS_ACTIONS[allowed.to]),
            self._storage.watched() as failures,
        ):
            await self._app(seen, receive, _honest(asked, failures, send))
        if _writes(asked):
            self._on_write()

    def _refusal(
        self, asked: Asked, allowed: Allowed, signed: Signed, scope: Scope, body: bytes
    ) -> Answer | None:
        """The answer to a signed request that must not pass, or need not."""
        if answer := self._verify(scope, signed, body):
            return answer
        refused = misnamed(asked, signed, body) if allowed.to == "service" else None
        if refused:
            return refusal(asked, refused)
        bucket = self._rules.bucket(asked) if signed.service == "s3" else None
        return empty_listing(asked, bucket) if bucket else None


async def _refuse(answer: Answer, send: Send) -> None:
    status, headers, body = answer
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    # The body, if any, may not have been read: closing says so to the client.
    raw += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _not_kept(asked: Asked, why: str) -> Answer:
    message = f"The local cloud cannot keep it on this disk: {why}."
    return refusal(asked, Refused("InsufficientStorage", message, 507))


def _honest(asked: Asked, failures: list[str], send: Send) -> Send:
    """Answers that a write failed, where one did, in place of what MiniStack answers."""
    refused = False

    async def told(message: Message) -> None:
        nonlocal refused
        if message["type"] == "http.response.start" and failures:
            refused = True
            await _refuse(_not_kept(asked, failures[0]), send)
        elif not refused:
            await send(message)

    return told


def _rewritten(scope: Scope, allowed: Allowed, port: int) -> Scope:
    """The request as MiniStack is to see it.

    x-forwarded-proto: loopback is as private as TLS, so a TLS-only bucket policy lets the functions in,
    as on AWS. A request to an API's or, without a key, to a bucket's own host name becomes the path style:
    MiniStack lets host names choose services.
    """
    path, raw_path = scope["path"], scope["raw_path"]
    if allowed.to == "form":
        path, raw_path = f"/{allowed.bucket}", f"/{allowed.bucket}".encode()
    elif allowed.api_host:
        prefix = f"/_aws/execute-api/{allowed.api}"
        path, raw_path = prefix + path, prefix.encode() + raw_path
    if allowed.api and path.count("/") == 3:
        # Without the last slash MiniStack takes the whole for an object in a bucket named `_aws`.
        path, raw_path = path + "/", raw_path + b"/"
    headers = _passed_on(scope["headers"], allowed, port)
    return {**scope, "headers": headers, "path": path, "raw_path": raw_path}


def _passed_on(
    headers: Iterable[tuple[bytes, bytes]], allowed: Allowed, port: int
) -> list[tuple[bytes, bytes]]:
    passed = [(name, value) for name, value in headers if not name.lower().startswith(_STRIPPED)]
    if allowed.to == "form":
        passed = [(name, value) for name, value in passed if name.lower().startswith(_OF_A_FORM)]
    if allowed.to == "form" or allowed.api_host:
        passed = [(name, value) for name, value in passed if name.lower() != b"host"]
        passed.append((b"host", f"{OWN_NAMES[0]}:{port}".encode()))
    return [*passed, (b"x-forwarded-proto", b"https")]


def _writes(asked: Asked) -> bool:
    """Whether a request may have changed something worth saving; when in doubt, yes."""
    if asked.method in ("GET", "HEAD", "OPTIONS"):
        return False
    operation = asked.header("x-amz-target").rpartition(".")[2]
    return not operation.startswith(_READING)
