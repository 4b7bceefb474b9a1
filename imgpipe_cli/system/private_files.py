"""Writing files in one step, in folders where somebody else may have put something under any name.

A reader finds the old file or the new one, never half of either, and a link that waits where we write is not
followed.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

# Windows has no such flag, and lets only administrators make links.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
PRIVATE = 0o600
_SCRATCH = (".imgpipe-", ".tmp")


def write(path: Path, content: str | bytes, *, mode: int = PRIVATE, durable: bool = False) -> None:
    """Replace a file, or make it, in one step. mode: as far as the user's umask allows. durable: what the new
    file holds is on the disk before it takes the old one's place. Raises OSError."""
    scratch = path.with_name(f"{_SCRATCH[0]}{os.urandom(8).hex()}{_SCRATCH[1]}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS | _BINARY, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        _replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def try_room(folder: Path, size: int) -> None:
    """Raise the OSError that a file of so many bytes would meet in this folder now; leaves nothing."""
    scratch = folder / f"{_SCRATCH[0]}{os.urandom(8).hex()}{_SCRATCH[1]}"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, PRIVATE)
    try:
        if size and sys.platform == "linux":
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.truncate(descriptor, size)  # tells limits, not what is free
    finally:
        os.close(descriptor)
        scratch.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have on the disk what was made and replaced in it. Windows does so by itself. Raises OSError."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what `write` left behind where its process was killed; nobody else may be writing there."""
    for scratch in folder.glob("*".join(_SCRATCH)):
        scratch.unlink(missing_ok=True)


def open_own(path: Path, flags: int) -> int:
    """A descriptor of one of our own private files, made where it is missing. Raises OSError for a link."""
    return os.open(path, flags | os.O_CREAT | _NO_LINKS, PRIVATE)


def open_there(path: Path) -> int:
    """A descriptor of one of our own files that is there; to read only where it cannot be written.
    Raises OSError, also for a link."""
    try:
        return os.open(path, os.O_RDWR | _NO_LINKS)
    except OSError:
        return os.open(path, os.O_RDONLY | _NO_LINKS)


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
