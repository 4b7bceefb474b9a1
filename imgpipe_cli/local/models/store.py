"""Where models lie, and whether what lies there is what it should be."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgpipe_cli.local.models import catalogue
from imgpipe_cli.local.models.catalogue import Model, Role
from imgpipe_cli.system.state_dir import to_read

Condition = Literal["installed", "missing", "damaged"]
# Which file this is, and that nobody wrote to it since: inode, size, time of the last change.
Stamp = tuple[int, int, int]


def models_folder(state: Path | None = None) -> Path:
    """`<state>/models`: one place, shared by all pipelines and kept over restarts of the local cloud; makes
    nothing."""
    return (state if state is not None else to_read()) / "models"


def missing() -> list[Model]:
    """The base models that are not installed, by their sizes only: hashes take a while."""
    folder = ModelFolder(models_folder())
    # Looked up at each call, so that tests can put other models into the catalogue.
    return [model for model in catalogue.MODELS if not model.optional and not folder.holds(model)]


def missing_roles() -> list[Role]:
    """What the local analysis has no model for, neither a base model nor an optional one."""
    folder = ModelFolder(models_folder())
    there = {model.role for model in catalogue.MODELS if folder.holds(model)}
    return [model.role for model in catalogue.MODELS if not model.optional and model.role not in there]


@dataclass(frozen=True)
class _Checked:
    stamp: Stamp
    good: bool


class ModelFolder:
    """The installed models. Looks at the disk at every question, but hashes a file once for each change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._checked: dict[str, _Checked] = {}

    def path(self, model: Model) -> Path:
        return self.folder / model.file

    def stamp(self, model: Model) -> Stamp | None:
        """Changes whenever the file does; None while there is none."""
        try:
            found = self.path(model).stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def holds(self, model: Model) -> bool:
        """Whether a file of the right size is there."""
        stamp = self.stamp(model)
        return stamp is not None and stamp[1] == model.size_bytes

    def condition(self, model: Model) -> Condition:
        with self._lock:
            stamp = self.stamp(model)
            if stamp is None:
                return "missing"
            checked = self._checked.get(model.file)
            if checked is None or checked.stamp != stamp:
                good = stamp[1] == model.size_bytes and _sha256_of(self.path(model)) == model.sha256
                checked = self._checked[model.file] = _Checked(stamp, good)
        return "installed" if checked.good else "damaged"

    def read(self, model: Model) -> bytes | None:
        """The model's bytes, or None where they are missing or are not the pinned ones."""
        try:
            data = self.path(model).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == model.sha256 else None


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
