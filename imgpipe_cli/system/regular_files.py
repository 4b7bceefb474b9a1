"""Reading files that anybody may have put there: never more than asked for, and never waiting.

A name may stand for a pipe that nobody writes to, a device without an end, or a file of any size.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegular(OSError):
    """A pipe, a device or a socket in the place of a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(None, "it is a pipe, a device or a socket, not a file", str(path))


def is_special(path: Path) -> bool:
    """True for what is neither a file nor a folder; False where that cannot be found out."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read(path: Path, *, at_most: int) -> bytes:
    """The first bytes of a file. Raises OSError, NotRegular among them."""
    if is_special(path):
        raise NotRegular(path)
    # Asked again once it is open: what has this name may have been replaced meanwhile.
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotRegular(path)
        return file.read(at_most)


def _without_waiting(name: str, flags: int) -> int:
    """Opening a pipe takes until somebody writes to it, unless one asks not to wait. Windows has none."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
