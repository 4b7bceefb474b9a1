"""The models that everybody gets, in a folder of a benchmark's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from imgpipe_cli.local.models.catalogue import MODELS
from imgpipe_cli.local.models.fetch import fetch
from imgpipe_cli.local.models.store import ModelFolder, models_folder


def with_models(folder: Path) -> ModelFolder:
    """The user's files, else fetched ones. folder: is made; its parent is there."""
    folder.mkdir()
    models, users = ModelFolder(folder), ModelFolder(models_folder())
    base = [model for model in MODELS if not model.optional]
    for model in base:
        if users.condition(model) == "installed":
            shutil.copy(users.path(model), folder)
    fetch(models, [model for model in base if not models.holds(model)], lambda _: None)
    return models
