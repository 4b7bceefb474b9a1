"""Writing files in one step, in folders where somebody else may have put something under any name.

A reader finds the old file or the new one, never half of either, and a link that waits where we write is not
followed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Windows has no such flag, and lets only administrators make links.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
PRIVATE = 0o600


def write(path: Path, content: str, *, mode: int = PRIVATE) -> None:
    """Replace a file, or make it, in one step. mode: as far as the user's umask allows. Raises OSError."""
    scratch = path.with_name(f".imgpipe-{os.urandom(8).hex()}.tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        _replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def open_own(path: Path, flags: int) -> int:
    """A descriptor of one of our own private files, made where it is missing. Raises OSError for a link."""
    return os.open(path, flags | os.O_CREAT | _NO_LINKS, PRIVATE)


def _replace(scratch: Path, path: Path) -> None:
    """Windows refuses while another process has the file open, which our readers do for a moment only."""
    for _ in range(5):
        try:
            scratch.replace(path)
        except PermissionError:
            time.sleep(0.05)
        else:
            return
    scratch.replace(path)
