"""The local cloud's files: where they are."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import to_read, unusable

# Far more than any of ours has: what is longer is not ours.
_MAX_BYTES = 1 << 26
_CLOUD = {
    "pid": int,
    "port": int,
    "access_key_id": str,
    "secret_access_key": str,
    "account": str,
    "region": str,
    "token": str,
}


@dataclass(frozen=True)
class LocalFiles:
    """Paths below `<state>/local`."""

    root: Path

    @property
    def cloud(self) -> Path:
        """Which process serves where, and its keys; 0600. Present while one runs, stale after a kill."""
        return self.root / "cloud.json"

    @property
    def failure(self) -> Path:
        """Why the last start failed, for the command that waits for it."""
        return self.root / "failure.json"

    @property
    def credentials(self) -> Path:
        """The key of the local administrator, stable over restarts; 0600."""
        return self.root / "credentials.json"

    @property
    def port(self) -> Path:
        """The port used last, so that URLs stay valid over restarts."""
        return self.root / "port"

    @property
    def start_lock(self) -> Path:
        """Held by a command while it starts or stops the cloud."""
        return self.root / "start.lock"

    @property
    def cloud_lock(self) -> Path:
        """Held by the cloud's process for its whole life; the system frees it, whatever ends the process."""
        return self.root / "cloud.lock"

    @property
    def log(self) -> Path:
        return self.root / "cloud.log"

    @property
    def data(self) -> Path:
        """Everything stored in the local cloud."""
        return self.root / "data"

    @property
    def state(self) -> Path:
        return self.data / "state"

    @property
    def older(self) -> Path:
        """The state as it was one snapshot before."""
        return self.data / "older"

    @property
    def damaged(self) -> Path:
        """Files of the state that could not be read, kept."""
        return self.data / "damaged"

    @property
    def objects(self) -> Path:
        return self.data / "s3"

    @property
    def models(self) -> Path:
        """Models that were fetched; beside the cloud's own folder, so that removing its data keeps them."""
        return self.root.parent / "models"

    @property
    def tmp(self) -> Path:
        """Unpacked functions; only this cloud uses it, so it is emptied at each start and stop."""
        return self.root / "tmp"


def local_files(folder: Path | None = None) -> LocalFiles:
    """The files below a state folder (default: the user's); makes nothing."""
    return LocalFiles((folder if folder is not None else to_read()) / "local")


def make_folders(files: LocalFiles) -> None:
    """Make the private folders, or say why they cannot be made."""
    try:
        ours = (files.root, files.data, files.state, files.older, files.damaged, files.objects, files.tmp)
        for folder in ours:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(files.root, error) from error


def read_json(path: Path, **fields: type) -> dict[str, Any] | None:
    """A JSON object that has these fields, each of its type; None where there is none to be read."""
    try:
        value = json.loads(file_io.read(path, at_most=_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    # Not isinstance: to it, true is a number.
    fits = isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in fields.items())
    return value if fits else None


def read_cloud(files: LocalFiles) -> dict[str, Any] | None:
    """What the running cloud wrote about itself, or one that was killed; None for anything else."""
    written = read_json(files.cloud, **_CLOUD)
    # 0, 1 and negative numbers are no process of ours: they name every one of a group.
    fits = written is not None and 0 < written["port"] < 65_536 and 1 < written["pid"] < 1 << 31
    return written if fits else None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a private file with a JSON object."""
    file_io.write(path, json.dumps(value))


def size_bytes(folder: Path) -> int:
    """What the files below a folder take; files that vanish while we look count as nothing."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(base) / name).stat().st_size
            except OSError:
                continue
    return total
