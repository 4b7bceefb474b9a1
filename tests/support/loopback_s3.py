"""One bucket of S3 over real HTTP: what uploads need of it, and the faults that they may meet.

It keeps versions, refuses a wrong SHA-256, takes If-None-Match, and notes each request. moto answers inside
of the SDK only, and has no faults.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.cli import ACCOUNT
from tests.support.loopback import Handler, serving


@dataclass(frozen=True)
class Version:
    version_id: str
    etag: str
    size: int
    sha256: str
    content_type: str
    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One request. kind: PUT, HEAD or LIST. by: the program that sent it."""

    kind: str
    key: str
    headers: dict[str, str]

    @property
    def by_crt(self) -> bool:
        return "CRTS3NativeClient" in self.headers.get("user-agent", "")


Fault = Callable[[Asked], "tuple[int, str] | None"]
"""The status and code to answer a request with; None to carry it out."""


@dataclass
class LoopbackS3:
    """fault: asked before each request. keeps: whether bodies are kept. encrypted: ETags are no MD5, as with
    KMS. on_stored: called with each key that is stored, before that is answered."""

    url: str = ""
    fault: Fault = lambda _asked: None
    keeps: bool = True
    encrypted: bool = False
    on_stored: Callable[[str], object] = lambda _key: None
    keys: dict[str, list[Version]] = field(default_factory=dict)
    stored: int = 0
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def puts(self) -> list[Asked]:
        return [one for one in self.asked if one.kind == "PUT"]

    def newest(self, key: str) -> bytes:
        return self.keys[key][-1].body

    def store(
        self,
        key: str,
        body: bytes,
        content_type: str = "image/jpeg",
        metadata: dict[str, str] | None = None,
        *,
        only_new: bool = False,
    ) -> Version | None:
        """metadata: with the names of their headers. only_new: None where the key exists."""
        with self.lock:
            versions = self.keys.setdefault(key, [])
            if only_new and versions:
                return None
            digest = hashlib.sha256(body).digest()
            self.stored, number = self.stored + 1, self.stored
            md5 = hashlib.md5(body + (bytes([len(versions) % 256]) if self.encrypted else b"")).hexdigest()
            checksum = base64.b64encode(digest).decode()
            kept = body if self.keeps else b""
            versions.append(
                Version(f"v{number}", md5, len(body), checksum, content_type, kept, metadata or {})
            )
            return versions[-1]

    def page(self, marker: str, most: int) -> str:
        """Of the list of versions: newest first within a key."""
        with self.lock:
            after = sorted(key for key in self.keys if key > marker)
            shown = after[:most]
            rows = [
                f"<Version><Key>{escape(key)}</Key><VersionId>{one.version_id}</VersionId>"
                f"<IsLatest>{'true' if one is self.keys[key][-1] else 'false'}</IsLatest>"
                f"<ETag>&quot;{one.etag}&quot;</ETag><Size>{one.size}</Size></Version>"
                for key in shown
                for one in reversed(self.keys[key])
            ]
        more = f"<NextKeyMarker>{escape(shown[-1])}</NextKeyMarker>" if len(after) > most else ""
        cut = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        return f"<ListVersionsResult>{cut}{more}{''.join(rows)}</ListVersionsResult>"


class _Bucket(Handler):
    """Serves one LoopbackS3."""

    s3: LoopbackS3
    bucket: str
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the program was ended
            super().handle()

    def do_PUT(self) -> None:
        asked, body = self._asked("PUT"), self.body()
        if self._refused(asked):
            return
        wanted = asked.headers.get("x-amz-checksum-sha256")
        if wanted != base64.b64encode(hashlib.sha256(body).digest()).decode():
            self._error(400, "BadDigest")
            return
        metadata = {name: value for name, value in asked.headers.items() if "x-amz-meta-" in name}
        only_new = asked.headers.get("if-none-match") == "*"
        content_type = asked.headers.get("content-type", "")
        stored = self.s3.store(asked.key, body, content_type, metadata, only_new=only_new)
        if stored is None:
            self._error(412, "PreconditionFailed")
        else:
            self.s3.on_stored(asked.key)
            self.send(200, b"", {"ETag": f'"{stored.etag}"', "x-amz-version-id": stored.version_id})

    def do_POST(self) -> None:
        """STS, which every command asks whose account it is."""
        self.body()
        arn = f"<Arn>arn:aws:iam::{ACCOUNT}:user/ann</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
        result = f"<GetCallerIdentityResult>{arn}</GetCallerIdentityResult>"
        body = f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"
        self.send(200, body.encode(), {"Content-Type": "text/xml"})

    def do_HEAD(self) -> None:
        asked = self._asked("HEAD")
        if self._refused(asked):
            return
        if asked.key not in self.s3.keys:
            self.send(404, b"")
            return
        found = self.s3.keys[asked.key][-1]
        self.send_response(200)
        checksum = asked.headers.get("x-amz-checksum-mode") == "ENABLED"
        for name, value in {
            "ETag": f'"{found.etag}"',
            "x-amz-version-id": found.version_id,
            "Content-Length": str(found.size),
            "Last-Modified": formatdate(usegmt=True),
            **({"x-amz-checksum-sha256": found.sha256} if checksum else {}),
            **found.metadata,
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        asked = self._asked("LIST")
        if not self._refused(asked):
            query = parse_qs(urlsplit(self.path).query)
            assert "versions" in parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            marker = query.get("key-marker", [""])[0]
            page = self.s3.page(marker, int(query.get("max-keys", ["1000"])[0]))
            self.send(200, page.encode(), {"Content-Type": "application/xml"})

    def _asked(self, kind: str) -> Asked:
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(kind, path.removeprefix(f"/{self.bucket}").removeprefix("/"), headers)
        self.s3.asked.append(asked)
        return asked

    def _refused(self, asked: Asked) -> bool:
        if (found := self.s3.fault(asked)) is not None:
            self._error(*found)
        return found is not None

    def _error(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        self.send(status, body.encode(), {"Content-Type": "application/xml"})


@contextmanager
def loopback_s3(bucket: str, tls: ssl.SSLContext | None = None) -> Iterator[LoopbackS3]:
    """Serve one bucket until the end of the block."""
    s3 = LoopbackS3()
    with serving(type("Bucket", (_Bucket,), {"s3": s3, "bucket": bucket}), tls) as s3.url:
        yield s3
