"""The user's wish to do without the models, kept for the next `up`."""

from __future__ import annotations

from imgpipe_cli.local.models.store import models_folder
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir

_FILE = "declined"


def is_declined() -> bool:
    return (models_folder() / _FILE).is_file()


def decline() -> None:
    """Remember it. Raises Problem, or OSError, where nothing can be written."""
    folder = models_folder(state_dir())
    folder.mkdir(mode=0o700, exist_ok=True)
    file_io.write(folder / _FILE, "imgpipe up --no-models\n")


def forget() -> None:
    """Forget it, as imgpipe does for a user who fetches models. Raises OSError."""
    (models_folder() / _FILE).unlink(missing_ok=True)
