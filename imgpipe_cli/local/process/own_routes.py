"""The routes of the cloud's own process: health for all, the others for who can read its files."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from imgpipe_cli import __version__
from imgpipe_cli.local.guard.asgi import Receive, Scope, Send
from imgpipe_cli.local.process.cloud_client import NONCE_HEADER, TOKEN_HEADER, proof
from imgpipe_cli.local.rekognition.faults import Faults, FaultSwitch

_TOKEN_ROUTES = frozenset(
    {("GET", "/_imgpipe/status"), *(("POST", f"/_imgpipe/{name}") for name in ("stop", "save", "faults"))}
)
_MOST_BODY_BYTES = 10_000
_MOST_NONCE = 64


@dataclass
class OwnRoutes:
    """An ASGI app for `/_imgpipe/*`. details makes what only status shows; save saves everything,
    and says why where it cannot."""

    port: int
    token: str
    queue: Callable[[], dict[str, int]]
    capabilities: Callable[[], dict[str, Any]]
    details: Callable[[], dict[str, Any]]
    save: Callable[[], str]
    stop: asyncio.Event
    faults: FaultSwitch
    started: float = field(default_factory=time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, answer = await self._answer(scope, receive)
        body = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
        route = (scope["method"], scope["path"])
        if route == ("GET", "/_imgpipe/health"):
            nonce = dict(scope["headers"]).get(NONCE_HEADER.encode(), b"").decode("latin-1")[:_MOST_NONCE]
            return 200, {**self._health(), "proof": proof(self.token, self.port, nonce)}
        if route not in _TOKEN_ROUTES:
            return 404, {"message": "Not found."}
        given = dict(scope["headers"]).get(TOKEN_HEADER.encode(), b"")
        if not hmac.compare_digest(given, self.token.encode()):
            return 403, {"message": "The token is missing or wrong."}
        if route == ("POST", "/_imgpipe/faults"):
            return self._turn(await _body(receive))
        if scope["method"] == "POST":
            return 200, await self._save(stopping=scope["path"].endswith("/stop"))
        # Memory and sizes are read from disk and /proc: not on the event loop.
        return 200, {**self._health(), **await asyncio.to_thread(self.details), **self.faults.told()}

    async def _save(self, *, stopping: bool) -> dict[str, Any]:
        if why := await asyncio.to_thread(self.save):
            return {"stopping": False, "why": why}
        if stopping:
            self.stop.set()
        return {"stopping": stopping}

    def _turn(self, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            self.faults.turn(Faults.from_json(json.loads(body)))
        except ValueError as error:
            return 400, {"message": str(error)}
        return 200, self.faults.told()

    def _health(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self.started, 1),
            "queue": self.queue(),
            "capabilities": self.capabilities(),
        }


async def _body(receive: Receive) -> bytes:
    """The request's body, as far as one of ours can reach."""
    body, more = b"", True
    while more and len(body) <= _MOST_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
