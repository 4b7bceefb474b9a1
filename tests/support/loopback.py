"""An HTTP server on a free port of this machine: the one way in which tests serve anything."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """A request handler that writes nothing on stderr."""

    def body(self) -> bytes:
        """The whole body of the request; empty where it has none."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The whole answer; without its body where only the head was asked for."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the tests' output free of it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # many may ask at once


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve until the end of the block; the server's URL, without a final slash."""
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        # The handshake is left to the thread of the connection.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Page:
    """The same answer to every request, as a proxy or a sign-in page of a network gives it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""


@contextmanager
def answering(page: Page) -> Iterator[Page]:
    """Serve the page until the end of the block; it may be changed meanwhile."""

    class Same(Handler):
        protocol_version = "HTTP/1.1"  # answers Expect: 100-continue; the SDK would wait a second for that

        def do_POST(self) -> None:
            self.body()
            self.close_connection = True
            self.send(page.status, page.body, page.headers)

        do_GET = do_HEAD = do_PUT = do_CONNECT = do_POST

    with serving(Same) as page.url:
        yield page
