"""Handing the page to the user's browser, already signed in.

The token must not stand in a command line, which every user of the machine can read. So the browser is given
a file that only its owner may read; it sends the browser on to the page with the token in the address's
fragment, which is never sent to a server. A small process of its own removes the file once it was read.
"""

from __future__ import annotations

import contextlib
import html
import os
import secrets
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from imgpipe_cli.system.state_dir import state_dir, unusable

_PREFIX = "imgpipe-open-"
# A desktop may look into the file to learn its type before a browser that is still starting reads it.
_GRACE_S = 10.0
_LIMIT_S = 60.0


def browser_there() -> bool:
    """Whether a graphical browser can be opened. Those in a terminal cannot run the page."""
    if sys.platform not in ("win32", "darwin") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    ):
        return False
    try:
        webbrowser.get()
    except (webbrowser.Error, ValueError):  # ValueError: BROWSER is no command line
        return False
    return True


def open_signed_in(page_url: str, token: str) -> bool:
    """Open the page in the browser, signed in. False if no browser took it. Raises Problem."""
    folder = _folder()
    for left in _left_over(folder):
        left.unlink(missing_ok=True)
    file = folder / f"{_PREFIX}{secrets.token_hex(8)}.html"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(redirect(page_url, token))
    except OSError as error:
        raise unusable(folder, error) from error
    opened = False
    try:
        opened = webbrowser.open(file.as_uri())
    finally:
        if opened:
            _remove_later(file)
        else:
            file.unlink(missing_ok=True)
    return opened


def redirect(page_url: str, token: str) -> str:
    """The file's text."""
    url = html.escape(f"{page_url}#token={quote(token, safe='')}", quote=True)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta http-equiv="refresh" content="0; url={url}">\n'
        f'<title>imgpipe</title>\n<p><a href="{url}">Go on to the page</a></p>\n</html>\n'
    )


def _folder() -> Path:
    # A browser from a snap package may read the home folder, but neither hidden folders in it nor /tmp.
    return Path.home() if Path("/snap/bin").is_dir() else state_dir()


def _left_over(folder: Path) -> Iterator[Path]:
    """Files of earlier runs whose remover was killed."""
    for file in folder.glob(f"{_PREFIX}*.html"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > 2 * _LIMIT_S:
                yield file


def _remove_later(file: Path) -> None:
    """Start the process that removes the file; it outlives this command."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    child = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
        [sys.executable, "-P", "-m", "imgpipe_cli.pictures.browser", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=flags,
        start_new_session=True,
    )
    child.returncode = 0  # nobody waits for it


def remove_when_read(
    file: Path,
    *,
    grace_s: float = _GRACE_S,
    limit_s: float = _LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Remove the file soon after it was read, at the latest after limit_s: not every disk notes reads."""
    end = clock() + limit_s
    with contextlib.suppress(FileNotFoundError):
        while clock() < end:
            found = file.stat()
            if found.st_atime_ns > found.st_mtime_ns:
                end = min(end, clock() + grace_s)
                sleep(max(end - clock(), 0))
                break
            sleep(0.25)
        file.unlink()


if __name__ == "__main__":
    remove_when_read(Path(sys.argv[1]))
