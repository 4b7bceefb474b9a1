"""What the tests of fetching models look at."""

from __future__ import annotations

from imgpipe_cli.local.models.store import ModelFolder


def left_over(folder: ModelFolder) -> list[str]:
    """The names of all files in the folder but the lock's."""
    return sorted(path.name for path in folder.folder.iterdir() if path.name != "install.lock")
