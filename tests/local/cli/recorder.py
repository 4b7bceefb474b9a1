"""A forward proxy that writes down every request: what a command really sent, seen from outside."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.support.loopback import Handler, serving
from tests.support.operations import is_read


@dataclass
class Recorder:
    """calls: "METHOD operation or path", in the order they came."""

    url: str
    calls: list[str] = field(default_factory=list)

    def writes(self) -> list[str]:
        return [call for call in self.calls if not _only_reads(call)]


def _only_reads(call: str) -> bool:
    method, _, what = call.partition(" ")
    return method in ("GET", "HEAD") or is_read(what)


def _named(method: str, path: str, target: str | None, body: bytes) -> str:
    """The operation where the protocol names it, else the path and what is asked of it."""
    if target:
        return f"{method} {target.rpartition('.')[2]}"
    action = parse_qs(body.decode("latin-1")).get("Action") if method == "POST" and path == "/" else None
    return f"{method} {action[0] if action else path}"


@contextmanager
def recording() -> Iterator[Recorder]:
    recorder = Recorder("")

    class Forwarding(Handler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            goal = urlsplit(self.path)
            body = self.body()
            path = f"{goal.path or '/'}{f'?{goal.query}' if goal.query else ''}"
            recorder.calls.append(_named(self.command, path, self.headers.get("X-Amz-Target"), body))
            connection = http.client.HTTPConnection(goal.hostname or "", goal.port or 80, timeout=60)
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if not name.lower().startswith("proxy-") and name.lower() != "connection":
                    connection.putheader(name, value)
            connection.putheader("Connection", "close")
            connection.endheaders(body)
            answer = connection.getresponse()
            data = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            head = self.command == "HEAD"
            length = answer.getheader("Content-Length") if head else str(len(data))
            if length is not None:
                self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(data)
            connection.close()

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = forward

    with serving(Forwarding) as recorder.url:
        yield recorder
