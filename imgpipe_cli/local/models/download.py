"""Downloading a model: resumed where it broke off, checked in full, never half a file in place.

urllib does what is needed: redirects, the proxies of the environment (HTTPS_PROXY, NO_PROXY), the system's
certificates. What has arrived so far lies in `<file>.part`.
"""

from __future__ import annotations

import http.client
import re
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from imgpipe_cli import __version__
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.models.catalogue import Model
from imgpipe_cli.local.models.install import (
    FROM_FILE,
    OnProgress,
    accept,
    cannot_write,
    preparing,
    wrong_size,
)
from imgpipe_cli.local.models.store import ModelFolder

# How long a silent server is listened to.
_SILENCE_S = 20.0
# A connection that breaks is taken up again as long as tries get farther than all before; this often when
# they do not.
_BARREN_TRIES = 2
_CHUNK_BYTES = 1 << 16

_BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class _Source:
    url: str
    answer_within_s: float

    @property
    def host(self) -> str:
        return host(self.url) or self.url


def host(url: str) -> str | None:
    """None for what is no http or https address."""
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:  # half an address in brackets
        return None


def download(
    folder: ModelFolder,
    model: Model,
    on_progress: OnProgress,
    *,
    url: str | None = None,
    answer_within_s: float = _SILENCE_S,
) -> Path:
    """Fetch a model and put it in its place. url: a mirror; the pinned size and hash hold for it too.

    answer_within_s: how long name lookup, connection and first answer may take together. Raises Problem;
    what has arrived by then stays for the next try, except what is known to be wrong.
    """
    source = _Source(model.release if url is None else url, answer_within_s)
    if host(source.url) is None:
        raise Problem(
            "bad_url",
            f"{source.url or 'An empty text'} is not an http or https address.",
            hint="For a file on this machine: imgpipe local models fetch --from FILE.",
            exit_code=ExitCode.USAGE,
        )
    with preparing(folder, model):
        part = folder.folder / f"{model.file}.part"
        resumed = _size(part) > 0
        try:
            return _complete(folder, model, source, part, on_progress)
        except Problem as problem:
            if problem.code != "model_wrong_hash" or not resumed:
                raise
        # The beginning came from an earlier try, perhaps from elsewhere: once more from the start.
        return _complete(folder, model, source, part, on_progress)


def _complete(
    folder: ModelFolder, model: Model, source: _Source, part: Path, on_progress: OnProgress
) -> Path:
    barren, farthest = 0, _size(part)
    while (before := _size(part)) != model.size_bytes:
        if before > model.size_bytes:
            part.unlink()
            continue
        try:
            _more(model, source, part, on_progress)
            broken: Exception | None = None
        except _BROKEN as error:
            broken = error
        barren = 0 if _size(part) > farthest else barren + 1
        farthest = max(farthest, _size(part))
        if barren >= _BARREN_TRIES or (barren and isinstance(broken, TimeoutError)):
            raise _no_network(source, broken) from broken
    try:
        return accept(folder, model, part, source.url)
    except Problem as problem:
        if problem.code == "model_wrong_hash":
            part.unlink(missing_ok=True)
        raise


def _more(model: Model, source: _Source, part: Path, on_progress: OnProgress) -> None:
    """Add what the server sends to the part, from where it ends or, if the server insists, from the start."""
    have = _size(part)
    try:
        answer = _opened(source, have)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            return
        raise Problem(
            "model_not_there",
            f"{source.url} answers {error.code} {error.reason}.",
            hint=FROM_FILE,
        ) from error
    with answer:
        continues = answer.status == http.client.PARTIAL_CONTENT and _start(answer) == have
        if have and answer.status == http.client.PARTIAL_CONTENT and not continues:
            part.unlink()  # a piece from elsewhere in the file
            return
        have = have if continues else 0
        announced = answer.headers.get("Content-Length")
        if announced is not None and announced.isdigit() and have + int(announced) != model.size_bytes:
            # A page of a proxy or hotel, or another release: not worth reading.
            raise wrong_size(model, source.url, have + int(announced))
        try:
            file = part.open("ab" if continues else "wb")
        except OSError as error:
            raise cannot_write(part, error) from error
        with file:
            have = _received(answer, file, have, model, part, on_progress)
    if have > model.size_bytes:  # from a server that announces no length
        part.unlink()
        raise wrong_size(model, source.url, have)


def _received(
    answer: Any, file: IO[bytes], have: int, model: Model, part: Path, on_progress: OnProgress
) -> int:
    while have <= model.size_bytes and (chunk := answer.read(_CHUNK_BYTES)):
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            raise cannot_write(part, error) from error
        have += len(chunk)
        on_progress(min(have, model.size_bytes))
    return have


def _opened(source: _Source, have: int) -> Any:
    """The server's answer. In a thread of its own: a name lookup has no time limit that could be set."""
    headers = {"User-Agent": f"imgpipe/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(source.url, headers=headers)  # noqa: S310 (http and https only)
    outcome: list[Any] = []
    given_up = threading.Event()

    def ask() -> None:
        try:
            # Not urlopen: it would keep the proxies of its first call.
            answer = urllib.request.build_opener().open(request, timeout=_SILENCE_S)
        except Exception as error:  # handed on to the thread that waits
            outcome.append(error)
            return
        outcome.append(answer)
        if given_up.is_set():
            answer.close()

    thread = threading.Thread(target=ask, name="imgpipe-download", daemon=True)
    thread.start()
    thread.join(source.answer_within_s)
    if not outcome:
        given_up.set()
        raise TimeoutError(f"no answer within {source.answer_within_s:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _start(answer: Any) -> int | None:
    """Where the piece of a 206 begins, from a text such as `bytes 100-199/200`."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0


def _no_network(source: _Source, error: Exception | None) -> Problem:
    cause = getattr(error, "reason", None) or error
    reason = getattr(cause, "strerror", None) or cause or "the connection ended too early"
    return Problem(
        "no_network",
        f"{source.host} cannot be reached ({reason}).",
        hint="Behind a proxy set HTTPS_PROXY. The part that has arrived is kept; a file from elsewhere: "
        "imgpipe local models fetch --from FILE.",
    )
