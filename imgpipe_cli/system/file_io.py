"""Reading and writing files where somebody else may have put something under any name.

A file is written in one step: a reader finds the old one or the new one, never half of either, and a link in
its place is replaced, not followed. A name that is read may stand for a pipe that nobody writes to, a device
without an end, or a file of any size: never more is read than asked for, and nothing waits.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# Windows has no such flags: it lets only administrators make links, and has no pipes among its files.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
_NO_TERMINAL = getattr(os, "O_NOCTTY", 0)
_BINARY = getattr(os, "O_BINARY", 0)
PRIVATE = 0o600
_PART_BYTES = 1 << 16
_SCRATCH = (".imgpipe-", ".tmp")


class NotRegular(OSError):
    """A pipe, a device or a socket in the place of a file."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(None, "it is a pipe, a device or a socket, not a file", str(path))


def is_special(path: Path) -> bool:
    """True for what is neither a file nor a folder; False where that cannot be found out."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read(path: Path | str, *, at_most: int) -> bytes:
    """The first bytes of a file, also behind a link. Raises OSError, NotRegular among them."""
    return read_or_head(path, at_most=at_most, head=at_most)[0]


def read_or_head(path: Path | str, *, at_most: int, head: int) -> tuple[bytes, int]:
    """All of a file, or its first `head` bytes where it has more than at_most; and its size in bytes.

    Raises OSError, NotRegular among them.
    """
    with _opened(path) as (descriptor, size):
        most = at_most if size <= at_most else head
        # Room for what is there; making room for all that may come takes longer than reading a small file.
        content = os.read(descriptor, min(most, size + 1))
        # It grew, or the system gave less than there is.
        while len(content) != size and (more := os.read(descriptor, min(most - len(content), _PART_BYTES))):
            content += more
        return content, max(size, len(content))


def sha256(path: Path, *, at_most: int) -> bytes:
    """Of the first bytes of a file, which are not kept. Raises OSError, NotRegular among them."""
    digest = hashlib.sha256()
    with _opened(path) as (descriptor, _):
        while part := os.read(descriptor, min(_PART_BYTES, at_most)):
            digest.update(part)
            at_most -= len(part)
    return digest.digest()


def lines(path: Path, *, longest: int) -> Iterator[bytes]:
    """The lines of a file with their ends; a longer one comes in pieces. Raises OSError as `read` does."""
    with _opened(path) as (descriptor, _), open(descriptor, "rb", closefd=False) as file:
        while line := file.readline(longest):
            yield line


@contextlib.contextmanager
def _opened(path: Path | str) -> Iterator[tuple[int, int]]:
    """The descriptor of a file to read, and its size in bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_WAITING | _NO_TERMINAL | _BINARY)
    except OSError as error:
        if is_special(Path(path)):  # a socket cannot be opened
            raise NotRegular(path) from error
        raise
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise NotRegular(path)
        yield descriptor, found.st_size
    finally:
        os.close(descriptor)


def write(path: Path, content: str | bytes, *, mode: int = PRIVATE, durable: bool = False) -> None:
    """Replace a file, or make it, in one step. mode: as far as the user's umask allows. durable: what the new
    file holds is on the disk before it takes the old one's place. Raises OSError."""
    with _replacing(path, mode) as (_, descriptor), os.fdopen(descriptor, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
        if durable:
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = PRIVATE) -> Iterator[Path]:
    """The same for a file that is written bit by bit: an empty one beside it, which takes its place at the
    end, unless something is raised meanwhile."""
    with _replacing(path, mode) as (scratch, descriptor):
        os.close(descriptor)
        yield scratch


@contextlib.contextmanager
def replacing_text(path: Path, *, mode: int = PRIVATE) -> Iterator[TextIO]:
    """The same, open for text in UTF-8."""
    with (
        _replacing(path, mode) as (_, descriptor),
        os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        yield file


@contextlib.contextmanager
def _replacing(path: Path, mode: int) -> Iterator[tuple[Path, int]]:
    """The same with its open descriptor, which the caller closes."""
    scratch, descriptor = _scratch(path.parent, mode)
    try:
        yield scratch, descriptor
        _replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def try_room(folder: Path, size: int) -> None:
    """Raise the OSError that a file of so many bytes would meet in this folder now; leaves nothing."""
    scratch, descriptor = _scratch(folder, PRIVATE)
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


def _scratch(folder: Path, mode: int) -> tuple[Path, int]:
    """A new file with a name that nobody can know, and its descriptor to write to. Raises OSError."""
    path = folder / f"{_SCRATCH[0]}{os.urandom(8).hex()}{_SCRATCH[1]}"
    return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS | _BINARY, mode)


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
