"""One file from one address, with urllib: the proxies of the environment and the system's certificates hold.

A file is complete or not there: a transfer that broke off begins anew the next time.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from imgpipe_cli import __version__
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.models.install import FROM_FILE, OnProgress

# How long a silent server is listened to.
_SILENCE_S = 20.0
_CHUNK_BYTES = 1 << 16
_BROKEN = (OSError, http.client.HTTPException)

AGAIN = f"Run imgpipe local models fetch to begin anew. {FROM_FILE}"
NETWORK = f"Behind a proxy or a mirror set up pip for it (pip config list), or HTTPS_PROXY. {FROM_FILE}"


@dataclass(frozen=True)
class Source:
    """An address without its credentials. login: `user:password`; authorities: a file of certificates."""

    url: str
    login: str = ""
    authorities: str | None = None

    @classmethod
    def of(cls, url: str, authorities: str | None = None) -> Source:
        """Raises Problem for what is no http or https address; credentials may stand in it."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:  # half an address in brackets
            parts, host = urlsplit(""), None
        if host is None or parts.scheme not in ("http", "https"):
            raise Problem(
                "bad_url",
                "The address of the models is not an http or https address.",
                hint="For a file on this machine: imgpipe local models fetch --from FILE.",
                exit_code=ExitCode.USAGE,
            )
        login, at, place = parts.netloc.rpartition("@")
        return cls(urlunsplit(parts._replace(netloc=place)), unquote(login) if at else "", authorities)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


@dataclass(frozen=True)
class Answer:
    """url: where it came from in the end, after redirects."""

    url: str
    body: bytes


def download(source: Source, on_progress: OnProgress, *, size_bytes: int | None, name: str) -> Answer:
    """What the address holds.

    size_bytes: how long it must be; name: of what, for messages. Raises Problem: no_network, source_refuses
    (401, 403), not_there (404, 410), source_fails, transfer_cut or model_wrong_size.
    """
    try:
        with _opened(source) as answer:
            length = answer.headers.get("Content-Length") or ""
            announced = int(length) if length.isdigit() else size_bytes
            if size_bytes is not None and announced != size_bytes:
                # A page of a proxy or hotel, or another release: not worth reading.
                raise _wrong_size(source, name, announced, size_bytes)
            body = _received(answer, announced, on_progress)
            url = answer.url
    except urllib.error.HTTPError as error:
        error.close()
        raise answered(source.host, name, error.code) from error
    except _BROKEN as error:
        raise unreachable(source.host, _reason(error)) from error
    if announced is not None and len(body) < announced:  # read(n) ends without an error where a transfer does
        raise cut(source.host, name, len(body), announced)
    if announced is not None and len(body) > announced:
        raise _wrong_size(source, name, len(body), announced)
    return Answer(url, body)


def _received(answer: Any, announced: int | None, on_progress: OnProgress) -> bytes:
    body = bytearray()
    while (announced is None or len(body) <= announced) and (chunk := answer.read(_CHUNK_BYTES)):
        body += chunk
        on_progress(len(body))
    return bytes(body)


def _opened(source: Source) -> Any:
    request = urllib.request.Request(  # noqa: S310 (http and https only)
        source.url, headers={"User-Agent": f"imgpipe/{__version__}", "Accept-Encoding": "identity"}
    )
    if source.login:
        token = base64.b64encode(source.login.encode()).decode()
        # Unredirected: another host that an answer points to must not get it.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    context = ssl.create_default_context(cafile=source.authorities)
    # Not urlopen: it would keep the proxies of its first call.
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    return opener.open(request, timeout=_SILENCE_S)


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause or "the connection ended too early")


def unreachable(host: str, reason: str) -> Problem:
    """reason: in the words of the system, empty where it is not known."""
    cause = f" ({reason})" if reason else ""
    return Problem("no_network", f"{host} cannot be reached{cause}.", hint=NETWORK)


def refuses(host: str) -> Problem:
    return Problem(
        "source_refuses",
        f"{host} refuses the user name or password, or asks for one.",
        hint="Correct it where it stands, in pip's configuration (pip config list), ~/.netrc or the URL.",
    )


def not_there(host: str, name: str) -> Problem:
    return Problem("not_there", f"{host} does not have {name}.", hint=FROM_FILE)


def cut(host: str, name: str, have: int | None = None, size_bytes: int | None = None) -> Problem:
    came = f" after {have:,} of {size_bytes:,} bytes" if have is not None else " too early"
    return Problem("transfer_cut", f"The transfer of {name} from {host} ended{came}.", hint=AGAIN)


def answered(host: str, name: str, status: int) -> Problem:
    """What an answer with this status means."""
    if status in (401, 403, 407):
        return refuses(host)
    if status in (404, 410):
        return not_there(host, name)
    return Problem("source_fails", f"{host} answers {status} to the request for {name}.", hint=AGAIN)


def _wrong_size(source: Source, name: str, size: int | None, pinned: int) -> Problem:
    return Problem(
        "model_wrong_size",
        f"{source.host} does not send {name}: it has {size:,} bytes, pinned are {pinned:,}.",
        hint=f"Nothing was installed. {FROM_FILE}",
    )
