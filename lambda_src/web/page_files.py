"""The web page: GET / and GET /assets/{file}.

The files are read once, when the function starts, and only these can be asked for: three for a whole page.
Links in them are relative, since the page stands below the name of the API's stage (`.../prod/`).
"""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.http_api import ApiError, Request, Response, response
from web import modules
from web.needs import Needs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FOLDER = Path(__file__).parent / "page"
_TYPES = {
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class Asset:
    content_type: str
    text: str


_INDEX = (_FOLDER / "index.html").read_text(encoding="utf-8")


def _read(name: str) -> str:
    path = _FOLDER / name
    return modules.joined(_FOLDER) if name == modules.START else path.read_text(encoding="utf-8")


_ASSETS = {name: Asset(content_type=kind, text=_read(name)) for name, kind in _TYPES.items()}
_VERSION = hashlib.sha256("".join(file.text for file in _ASSETS.values()).encode()).hexdigest()[:16]


def page(needs: Needs) -> Response:
    """GET /: the page with its settings filled in. It is asked for anew each time; its files are not."""
    settings = {
        "version": _VERSION,
        "min_confidence": f"{needs.config.min_confidence:g}",
        "public_results": "true" if needs.config.public_results else "false",
    }
    text = _INDEX
    for name, value in settings.items():
        text = text.replace("{{" + name + "}}", html.escape(value, quote=True))
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": content_security_policy(_bucket_origins(needs.s3, needs.config.bucket)),
    }
    return response(200, text, headers)


def content_security_policy(bucket_origins: tuple[str, ...]) -> str:
    """What the page may load: its own files, and pictures from and uploads to the bucket."""
    sources = " ".join(("'self'", *bucket_origins))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            # blob: is a picture that this page is about to send.
            f"img-src {sources} blob:",
            f"connect-src {sources}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            # The browser itself refuses to make markup of a text.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


@cache
def _bucket_origins(s3: S3Client, bucket: str) -> tuple[str, ...]:
    """Where the browser meets the bucket, as the signed links and forms name it. Signing calls nothing."""
    urls = (
        s3.generate_presigned_post(bucket, "any")["url"],
        s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "any"}),
    )
    parts = [urlsplit(url) for url in urls]
    return tuple(dict.fromkeys(f"{part.scheme}://{part.netloc}" for part in parts))


def asset(request: Request) -> Response:
    """GET /assets/{file}; ApiError 404 for any name but those of the page's files."""
    found = _ASSETS.get(request.path.get("file", ""))
    if found is None:
        raise ApiError(404, "not_found", "There is no such file.")
    # The page asks with `?v=<version>`, so a new version is another address and this one may be kept for
    # good.
    current = request.query.get("v") == _VERSION
    headers = {
        "Content-Type": found.content_type,
        "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }
    return response(200, found.text, headers)
