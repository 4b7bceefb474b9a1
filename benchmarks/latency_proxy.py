"""A proxy on 127.0.0.1 that makes every request take longer, as a real network would, and records it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from recorded_calls import RecordedCall, Request

_NO_BODY = (204, 304)


class LatencyProxy:
    """Runs in a thread of its own. Connections are kept alive; their requests do not wait for each other.

    own: the body with which the proxy itself answers a request; None for what goes on to the server.
    """

    def __init__(
        self, latency_s: float, own: Callable[[Request], bytes | None] = lambda _request: None
    ) -> None:
        self.latency_s = latency_s
        self._own = own
        self.upstream_port = 0
        self._calls: list[RecordedCall] = []
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="latency-proxy", daemon=True)
        self._up = threading.Event()
        self.port = 0

    def __enter__(self) -> LatencyProxy:
        self._thread.start()
        self._up.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def take(self) -> list[RecordedCall]:
        """The calls since the last take, by their start."""
        calls, self._calls = self._calls, []
        return sorted(calls, key=lambda call: call.start_s)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256))
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._numbers)
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head, request = await _request(reader, writer)
                start_s = time.monotonic()
                await asyncio.sleep(self.latency_s)
                sent_s = time.monotonic()
                if (body := self._own(request)) is not None:
                    self._calls.append(_recorded(request, 200, start_s, sent_s, time.monotonic(), connection))
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                    await writer.drain()
                    continue
                if upstream is None:
                    upstream = await asyncio.open_connection("127.0.0.1", self.upstream_port)
                upstream[1].write(head + request.body)
                status, answer, last = await _answer(upstream[0], request.method)
                end_s = time.monotonic()
                self._calls.append(_recorded(request, status, start_s, sent_s, end_s, connection))
                writer.write(answer)
                await writer.drain()
                if last:
                    upstream[1].close()
                    upstream = None
        writer.close()
        if upstream is not None:
            upstream[1].close()


def _recorded(
    request: Request, status: int, start_s: float, sent_s: float, end_s: float, connection: int
) -> RecordedCall:
    return RecordedCall(
        service=request.service,
        operation=request.operation,
        subject=request.subject,
        method=request.method,
        status=status,
        start_s=start_s,
        end_s=end_s,
        served_s=end_s - sent_s,
        connection=connection,
    )


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bytes, Request]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, headers = _parsed(head)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _body(reader, headers)
    method, path, _ = first.split(" ", 2)
    return head, Request(method, path, headers, body)


async def _answer(reader: asyncio.StreamReader, method: str) -> tuple[int, bytes, bool]:
    """(status, the whole answer, whether the connection ends with it)."""
    status = 100
    while status == 100:
        head = await reader.readuntil(b"\r\n\r\n")
        first, headers = _parsed(head)
        status = int(first.split(" ", 2)[1])
    bodiless = method == "HEAD" or status in _NO_BODY
    body = b"" if bodiless else await _body(reader, headers)
    return status, head + body, headers.get("connection", "").lower() == "close"


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """The body as it is on the wire, chunk marks included."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    found = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        found += size + chunk
        if chunk == b"\r\n":
            return found
