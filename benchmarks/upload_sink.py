"""An S3 that keeps nothing: it takes each object after a while, as fast as one process of Python can.

Run as a process of its own, so that its work is not booked to the program that sends: `python upload_sink.py
LATENCY_MS [CERTIFICATE]` prints its URL. GET /counts tells how many requests of each kind have come.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import ssl
import sys
from collections import Counter
from typing import ClassVar

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SHA256 = re.compile(rb"\r\nx-amz-checksum-sha256: *(\S+)", re.IGNORECASE)
_UNTIL_LAST_CHUNK = 1 << 40
_LAST_CHUNK_BYTES = 16
_LAST_CHUNK = re.compile(rb"\r\n0\r\n\r\n\Z")
_ARN = "<Arn>arn:aws:iam::123456789012:user/a</Arn><UserId>A</UserId><Account>123456789012</Account>"
_STS = f"<GetCallerIdentityResult>{_ARN}</GetCallerIdentityResult>"
_ANSWERS = {
    b"POST": f"<GetCallerIdentityResponse>{_STS}</GetCallerIdentityResponse>".encode(),
    b"GET": b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
}


class Sink(asyncio.Protocol):
    """One connection."""

    counts: ClassVar[Counter[str]] = Counter()
    latency_s = 0.0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._head = b""
        self._left = 0
        self._tail = b""
        self._digest = hashlib.sha256()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head:
            self._take(data)
            return
        self._waiting += data
        end = self._waiting.find(b"\r\n\r\n")
        if end < 0:
            return
        self._head, rest = bytes(self._waiting[:end]), bytes(self._waiting[end + 4 :])
        self._waiting.clear()
        found = _LENGTH.search(self._head)
        # The AWS CLI sends a checksum behind the bytes over TLS: then the end is known by its last chunk.
        self._left = int(found[1]) if found else _UNTIL_LAST_CHUNK if b"chunked" in self._head else 0
        self._tail = b""
        self._digest = hashlib.sha256()
        if b"100-continue" in self._head.lower():
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._take(rest)

    def _take(self, data: bytes) -> None:
        self._left -= len(data)
        self._digest.update(data)
        self._tail = (self._tail + data)[-_LAST_CHUNK_BYTES:]
        if self._left <= 0 or _LAST_CHUNK.search(self._tail):
            head, self._head = self._head, b""
            asyncio.get_running_loop().call_later(self.latency_s, self._answer, head, self._digest.digest())

    def _answer(self, head: bytes, digest: bytes) -> None:
        method = head.split(b" ", 1)[0]
        body = json.dumps(self.counts).encode() if b" /counts " in head else _ANSWERS.get(method, b"")
        self.counts[method.decode()] += b" /counts " not in head
        wanted = _SHA256.search(head)
        status = b"200 OK"
        if wanted and base64.b64decode(wanted[1]) != digest:
            status = b"400 Bad Request"
            self.counts["broken"] += 1
        etag = b'ETag: "0"\r\nx-amz-version-id: v\r\n' if method == b"PUT" else b""
        self._write(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, etag, len(body), body))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def main(latency_s: float, certificate: str | None) -> None:
    Sink.latency_s = latency_s
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, ssl=tls, backlog=512)
    print(f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000, sys.argv[2] if len(sys.argv) > 2 else None))
