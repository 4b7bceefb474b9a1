"""A lock between processes that the operating system frees when its holder dies, on POSIX and Windows."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from imgpipe_cli.system import file_io

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """Exclusive while held, also between threads with a FileLock each; not re-entrant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; never waits."""
        # Python makes descriptors non-inheritable, so a Lambda worker cannot keep the lock of a killed cloud.
        descriptor = file_io.open_own(self._path, os.O_RDWR)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def wait(self, timeout_s: float) -> bool:
        """Take the lock, waiting up to `timeout_s`; False if it was not free in time."""
        started = time.monotonic()
        while not self.acquire():
            if time.monotonic() - started > timeout_s:
                return False
            time.sleep(0.02)
        return True

    def release(self) -> None:
        """Give the lock back; closing the descriptor is what frees it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def held(path: Path) -> bool:
    """Whether some process holds the lock now; also where we may only read its file."""
    try:
        descriptor = file_io.open_there(path)
    except OSError:
        return False
    try:
        _lock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
