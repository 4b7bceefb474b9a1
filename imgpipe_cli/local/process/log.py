"""The cloud's log: one file, bounded, holding what the process and its libraries print as well."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from pathlib import Path

# Enough for the last few thousand lines; one older file of the same size is kept beside it.
MAX_BYTES = 2_000_000
_LAST_LINES = 5

LOGGER = logging.getLogger("imgpipe.local")


def configure() -> None:
    """Log to standard error, which the starting command has pointed at the log file.

    IMGPIPE_LOCAL_LOG=debug adds one line for each request. MiniStack stays at warnings: its lower levels
    print what functions print, and its debug level prints whole requests.
    """
    level = logging.DEBUG if os.environ.get("IMGPIPE_LOCAL_LOG") == "debug" else logging.INFO
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    LOGGER.setLevel(level)


def trim(log: Path) -> None:
    """Keep the log bounded.

    Copied and cut rather than renamed: this process's own standard error is this file, opened for appending,
    and Windows cannot rename a file that is open.
    """
    with contextlib.suppress(OSError):
        if log.stat().st_size > MAX_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def last_lines(log: Path) -> str:
    """The end of the log, for an error message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line for line in lines[-_LAST_LINES:] if line.strip())
