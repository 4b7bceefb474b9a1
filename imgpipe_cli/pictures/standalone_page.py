"""The web page as one file that works from disk or from any host: `imgpipe open --save`.

It is the page of lambda_src/web with its files written into it. Its Content-Security-Policy stands in a meta
element and allows exactly this script and this style, by their hashes. The access token is never part of it:
whoever opens the file is asked for it.
"""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path
from urllib.parse import urlsplit

from imgpipe_cli.lambdas import package
from imgpipe_cli.lambdas.source import page_modules
from imgpipe_cli.session.target import Remembered
from imgpipe_cli.system import file_io

MARK = '<meta name="generator" content="imgpipe open --save">'
"""By this a file is known as one that may be written again."""


def saved_page(pipeline: Remembered) -> str:
    """The page for this pipeline as one HTML text."""
    folder = package.source() / "web" / "page"
    script = "\n" + page_modules.joined(folder)
    style = "\n" + (folder / "style.css").read_text(encoding="utf-8")
    icon = base64.b64encode((folder / "icon.svg").read_bytes().strip()).decode()
    policy = html.escape(_policy(pipeline, script, style), quote=False)
    written_in = {
        '<meta charset="utf-8">': '<meta charset="utf-8">\n    '
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n    {MARK}',
        '<link rel="stylesheet" href="assets/style.css?v={{version}}">': f"<style>{style}</style>",
        '<script type="module" src="assets/app.js?v={{version}}"></script>': '<script type="module">'
        f"{script}</script>",
        'data-api=""': f'data-api="{html.escape(pipeline.api_url, quote=True)}/"',
        # The local cloud takes forms from its own page only, and gives pictures to that alone: to a browser,
        # a page from elsewhere is any page of the internet.
        'data-bucket="true"': f'data-bucket="{_word(not pipeline.target.local)}"',
        "{{min_confidence}}": f"{pipeline.min_confidence:g}",
        "{{public_results}}": _word(not pipeline.private),
    }
    text = (folder / "index.html").read_text(encoding="utf-8")
    for old, new in written_in.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text.replace("assets/icon.svg?v={{version}}", f"data:image/svg+xml;base64,{icon}")


def _word(value: bool) -> str:
    return "true" if value else "false"


def _policy(pipeline: Remembered, script: str, style: str) -> str:
    api = urlsplit(pipeline.api_url)
    hosts = " ".join(dict.fromkeys((f"{api.scheme}://{api.netloc}", bucket_origin(pipeline))))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            f"img-src {hosts} blob: data:",
            f"connect-src {hosts}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def bucket_origin(pipeline: Remembered) -> str:
    """Where a browser meets the bucket, as the functions sign their links and forms."""
    if pipeline.endpoint is not None:
        parts = urlsplit(pipeline.endpoint)
        return f"{parts.scheme}://{parts.netloc}"
    suffix = "amazonaws.com.cn" if pipeline.region.startswith("cn-") else "amazonaws.com"
    return f"https://{pipeline.bucket}.s3.{pipeline.region}.{suffix}"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def is_saved_page(path: Path) -> bool:
    """Whether the file is one that `imgpipe open --save` wrote. Raises OSError, NotRegular among them."""
    return MARK.encode() in file_io.read(path, at_most=8192)
