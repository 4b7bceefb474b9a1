"""An HTTP server on this machine that sends one file well or badly, as a test tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support import loopback


@dataclass
class Shop:
    """What is sent. cuts: after how many bytes each of the next answers breaks off; announced: whether the
    length is told; status: what is answered in place of the file; paths: what was asked for."""

    content: bytes
    cuts: list[int] = field(default_factory=list)
    announced: bool = True
    status: int = 200
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
        yield shop


def _answer(handler: loopback.Handler, shop: Shop) -> None:
    shop.paths.append(handler.path)
    if shop.status != 200:
        handler.send_error(shop.status)
        return
    handler.send_response(200)
    if shop.announced:
        handler.send_header("Content-Length", str(len(shop.content)))
    handler.end_headers()
    handler.wfile.write(shop.content[: shop.cuts.pop(0)] if shop.cuts else shop.content)
