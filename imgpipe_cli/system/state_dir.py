"""Where imgpipe keeps what it remembers on this machine: the last target, and the local cloud's data.

Nothing of a pipeline on AWS depends on these files; deleting them loses convenience, not resources.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from imgpipe_cli.errors import Problem


def state_dir() -> Path:
    """The private folder for imgpipe's own files, made (0700) when it is missing."""
    folder = location()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_shared(folder)
    except OSError as error:
        raise unusable(folder, error) from error
    return folder


def to_read() -> Path:
    """The same for those who only read: nothing is made, and what is not there or closed to us holds
    nothing. Raises Problem for what is no folder, and for one that others may change."""
    folder = location()
    try:
        _refuse_shared(folder)
    except (FileNotFoundError, PermissionError):
        return folder
    except OSError as error:
        raise unusable(folder, error) from error
    return folder


def _refuse_shared(folder: Path) -> None:
    if _others_may_write(folder):
        raise Problem(
            "state_dir_unusable",
            f"Other users may change imgpipe's files in {folder}; they hold keys and tokens.",
            hint="Make the folder yours alone (chown, chmod go-w), or name another in IMGPIPE_STATE_DIR.",
        )


def _others_may_write(folder: Path) -> bool:
    """Whether the folder is somebody else's or open to others. Windows keeps a user's folders to the user.
    Raises OSError."""
    found = folder.stat()
    if sys.platform == "win32":
        return False
    return found.st_uid != os.geteuid() or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def unusable(folder: Path, error: OSError) -> Problem:
    """The one wording for a state folder that cannot be made or written."""
    return Problem(
        "state_dir_unusable",
        f"Cannot write imgpipe's files in {folder}: {error.strerror or error}.",
        hint="Make that folder writable, or name another one in IMGPIPE_STATE_DIR.",
    )


def location() -> Path:
    """Where that folder is or will be; makes nothing. Raises Problem."""
    try:
        return _location()
    except RuntimeError as error:  # the "~name" of nobody, or no home folder at all
        raise Problem(
            "state_dir_unusable",
            f"There is no place for imgpipe's files: {error}",
            hint="Name a folder in IMGPIPE_STATE_DIR.",
        ) from error


def _location() -> Path:
    if chosen := os.environ.get("IMGPIPE_STATE_DIR"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "imgpipe"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "imgpipe"
    # The XDG specification: a relative value is invalid and must be ignored.
    xdg = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".local" / "state") / "imgpipe"
