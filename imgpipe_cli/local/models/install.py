"""Putting a model in its place: only a file that was checked in full, in one step, from a file or the net."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models.catalogue import Model
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.process.lock import FileLock
from imgpipe_cli.system.state_dir import unusable

OnProgress = Callable[[int], None]
"""Hears how many bytes are there so far; fewer than before when a download starts again."""

_CHUNK_BYTES = 1 << 18
FROM_FILE = "Nothing was installed. A file from elsewhere: imgpipe local models fetch --from FILE."


def install_file(folder: ModelFolder, model: Model, source: Path, on_progress: OnProgress) -> Path:
    """Copy a file that the user already has. Raises Problem where it is another file, and leaves nothing."""
    with preparing(folder, model):
        scratch = folder.path(model).with_suffix(".copy")
        try:
            try:
                size = source.stat().st_size
                if size != model.size_bytes:
                    raise wrong_size(model, str(source), size)
                _copied(source, scratch, on_progress)
            except OSError as error:
                raise _unreadable_or_full(source, scratch, error) from error
            return accept(folder, model, scratch, str(source))
        finally:
            scratch.unlink(missing_ok=True)


def _copied(source: Path, scratch: Path, on_progress: OnProgress) -> None:
    done = 0
    with source.open("rb") as reading, scratch.open("wb") as writing:
        while chunk := reading.read(_CHUNK_BYTES):
            writing.write(chunk)
            done += len(chunk)
            on_progress(done)


def _unreadable_or_full(source: Path, scratch: Path, error: OSError) -> Problem:
    if error.errno == errno.ENOSPC or error.filename == str(scratch):
        return cannot_write(scratch, error)
    return Problem("model_file_unreadable", f"{source} cannot be read: {error.strerror or error}.")


@contextmanager
def preparing(folder: ModelFolder, model: Model) -> Iterator[None]:
    """Make the folder, see that there is room, and let one command at a time write to it."""
    try:
        folder.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder.folder / "install.lock")
        taken = lock.wait(0.5)
    except OSError as error:
        raise unusable(folder.folder, error) from error
    if not taken:
        raise Problem(
            "model_busy", "Another command is installing a model.", hint="Wait for it, then try again."
        )
    try:
        _require_room(folder, model)
        yield
    finally:
        lock.release()


def _require_room(folder: ModelFolder, model: Model) -> None:
    there = sum(path.stat().st_size for path in folder.folder.glob(f"{model.file}.part"))
    if shutil.disk_usage(folder.folder).free < model.size_bytes - there:
        raise cannot_write(folder.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def accept(folder: ModelFolder, model: Model, scratch: Path, source: str) -> Path:
    """Check a complete file and move it into place in one step."""
    with scratch.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != model.sha256:
            raise Problem(
                "model_wrong_hash",
                f"{source} is not {model.file}: its sha256 is {sha256}, pinned is {model.sha256}.",
                hint=FROM_FILE,
            )
        os.fsync(file.fileno())
    final = folder.path(model)
    try:
        scratch.replace(final)
    except OSError as error:
        raise cannot_write(final, error) from error
    return final


def wrong_size(model: Model, source: str, size: int) -> Problem:
    return Problem(
        "model_wrong_size",
        f"{source} is not {model.file}: it has {size:,} bytes, pinned are {model.size_bytes:,}.",
        hint=FROM_FILE,
    )


def cannot_write(path: Path, error: OSError) -> Problem:
    if error.errno == errno.ENOSPC:
        return Problem(
            "no_space",
            f"There is no room left on the disk of {path.parent}.",
            hint="Free some space, or name another folder in IMGPIPE_STATE_DIR, and try again.",
        )
    return unusable(path.parent, error)
