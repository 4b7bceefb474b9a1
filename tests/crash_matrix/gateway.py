"""The way to the account over HTTPS, which breaks at one request.

With TLS as on AWS, since without it `up` leaves out the policy that refuses plain HTTP.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.crash_matrix import certificates
from tests.crash_matrix.faults import Answer, Fault, error_answer
from tests.crash_matrix.memory_account import carry_out
from tests.crash_matrix.requests_by_name import Request, path_only


@dataclass
class Gateway:
    """calls: the names of all calls since `forget`, in the order they came; the second of a name is `name#2`,
    and a repetition by the SDK is the same call. writes: those that change something. hit: whether the fault
    came up. process: who is killed. certificate: the file of what clients must trust."""

    url: str
    certificate: Path
    calls: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    hit: bool = False
    process: subprocess.Popen[str] | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _kinds: Counter[str] = field(default_factory=Counter)
    _broken: tuple[str, Fault] | None = None
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def break_at(self, name: str, fault: Fault) -> None:
        """Let the fault meet the call of that name."""
        self._broken = name, fault

    def forget(self) -> None:
        """Count anew, with no fault to come."""
        self.calls, self.writes, self._names, self._broken = [], [], {}, None
        self._kinds.clear()

    def serve(self, request: Request) -> Answer | str:
        """The answer, or "reset" or "close" where there is none but an end of the connection."""
        fault = self._fault_of(request)
        if fault is None:
            return carry_out(request)
        if fault.carries_out:
            carry_out(request)
            if fault.kind == "killed":
                assert self.process is not None
                self.process.kill()
                self.process.wait()
            return "close"
        return "reset" if fault.kind == "reset" else error_answer(request.service, fault.kind)

    def _fault_of(self, request: Request) -> Fault | None:
        with self._counting:
            name = self._names.get(request.call) or self._new(request)
            if self._broken is None or name != self._broken[0]:
                return None
            fault = self._broken[1]
            if self.hit and not fault.lasting:
                return None
            self.hit = True
            return fault

    def _new(self, request: Request) -> str:
        self._kinds[request.name] += 1
        number = self._kinds[request.name]
        name = request.name if number == 1 else f"{request.name}#{number}"
        self._names[request.call] = name
        self.calls.append(name)
        if request.is_write:
            self.writes.append(name)
        return name


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._body(headers)
        answer = self.server.door.serve(Request(self.command, path_only(self.path), headers, body))
        if isinstance(answer, Answer):
            self._send(answer)
        else:
            self._hang_up(hard=answer == "reset")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _hang_up(self, *, hard: bool) -> None:
        self.close_connection = True
        if hard:  # with RST instead of an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def handle(self) -> None:
        with suppress(ConnectionError, ssl.SSLError):  # the other side was killed
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them: none may be left when this process forks
    door: Gateway


@contextmanager
def gateway() -> Iterator[Gateway]:
    """The door to the account of this process, on a free port of loopback."""
    with TemporaryDirectory() as folder:
        certificate = certificates.make(Path(folder))
        server = _Server(("127.0.0.1", 0), _Handler)
        # The handshake comes with the first read, in the thread of the connection.
        server.socket = certificates.served_with(certificate).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.door = door = Gateway(f"https://127.0.0.1:{server.server_port}", certificate)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield door
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
