"""An HTTP server on this machine that sends one file well or badly, as a test tells it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support import loopback


@dataclass
class Shop:
    """What is sent. cuts: after how many bytes each of the next answers breaks off; ranges: whether a part
    may be asked for; announced: whether the length is told; status: what is answered in place of the file."""

    content: bytes
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    announced: bool = True
    status: int = 200
    silent: threading.Event | None = None
    wrong_start: bool = False
    asked: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/files/stand_in.onnx"


@contextmanager
def serving(shop: Shop) -> Iterator[Shop]:
    class ShopHandler(loopback.Handler):
        def do_GET(self) -> None:
            _answer(self, shop)

    with loopback.serving(ShopHandler) as url:
        shop.port = int(url.rpartition(":")[2])
        try:
            yield shop
        finally:
            if shop.silent is not None:
                shop.silent.set()


def _answer(handler: loopback.Handler, shop: Shop) -> None:
    wanted = handler.headers.get("Range")
    shop.asked.append(wanted)
    shop.paths.append(handler.path)
    if shop.silent is not None:
        shop.silent.wait(20)
        return
    if shop.status != 200:
        handler.send_error(shop.status)
        return
    match = re.fullmatch(r"bytes=(\d+)-", wanted or "") if shop.ranges else None
    start = int(match[1]) if match else 0
    if match and start >= len(shop.content):
        handler.send_error(416)
        return
    rest = shop.content[start:]
    handler.send_response(206 if match else 200)
    if match:
        told = 0 if shop.wrong_start else start
        handler.send_header("Content-Range", f"bytes {told}-{len(shop.content) - 1}/{len(shop.content)}")
    if shop.announced:
        handler.send_header("Content-Length", str(len(rest)))
    handler.end_headers()
    handler.wfile.write(rest[: shop.cuts.pop(0)] if shop.cuts else rest)
    handler.wfile.flush()
