"""Start the cloud as a process of its own that outlives the command and its terminal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgpipe_cli.local.files import LocalFiles
from imgpipe_cli.system import file_io

SERVER = (sys.executable, "-P", "-m", "imgpipe_cli.local")

# The exit code of a server that could not even write why it ended; also Python's own where the last of its
# standard error, which is the log, cannot be written.
CANNOT_WRITE = 120
# What a Python process needs to run at all; nothing that changes where AWS calls go.
# LD_LIBRARY_PATH: some Python builds find their own libpython only through it.
_KEPT = frozenset(
    {
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "IMGPIPE_LOCAL_LOG"),
        *("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "LOCALAPPDATA", "APPDATA"),
    }
)

# Kept so that a command that starts and stops the cloud itself reaps it instead of leaving a zombie.
_children: list[subprocess.Popen[bytes]] = []


def scrubbed(environment: dict[str, str]) -> dict[str, str]:
    """The environment without anything that steers AWS calls: AWS_*, proxies, PYTHONPATH and the like.

    The workers that run the functions inherit it, so AWS_PROFILE would break them and HTTP_PROXY or
    AWS_IGNORE_CONFIGURED_ENDPOINT_URLS would send their calls to real AWS.
    """
    kept = {name: value for name, value in environment.items() if name.upper() in _KEPT}
    return {**kept, "PYTHONUTF8": "1"}


def spawn(
    files: LocalFiles, arguments: Sequence[str], *, command: Sequence[str] = SERVER
) -> subprocess.Popen[bytes]:
    """Start the server detached, its output appended to the log."""
    # Private: the log may name keys of pictures.
    log = file_io.open_own(files.log, os.O_WRONLY | os.O_APPEND)
    try:
        child = _detached([*command, "--folder", str(files.root), *arguments], files.root, log)
    finally:
        os.close(log)
    _children.append(child)
    return child


def reap(pid: int) -> None:
    """Collect an ended process, if this one started it."""
    for child in [child for child in _children if child.pid == pid]:
        # Its lock is free, so it is past its last instruction; the system may need a moment to say so.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)
            _children.remove(child)


def _detached(command: list[str], folder: Path, log: int) -> subprocess.Popen[bytes]:
    environment = scrubbed(dict(os.environ))
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        # A hidden console rather than DETACHED_PROCESS: without one, each Lambda worker would open a window.
        apart = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(  # noqa: S603 (our own interpreter and module)
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        **apart,
    )
