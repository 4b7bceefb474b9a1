"""The local cloud: whether it runs and answers, its models, and room for its data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from imgpipe_cli import __version__
from imgpipe_cli.diagnose.doctor.checks import Check, Outcome
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.local.files import local_files, read_json
from imgpipe_cli.local.models import catalogue
from imgpipe_cli.local.models.store import Condition as ModelCondition
from imgpipe_cli.local.models.store import ModelFolder, models_folder
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.control import Condition, LocalStatus

_START = "imgpipe local start"
_RESTART = "imgpipe local stop, then imgpipe local start"
_LITTLE_BYTES = 1_000_000_000
_NONE_BYTES = 100_000_000


def cloud_in(state: Path, *, asked: bool) -> Iterator[Check]:
    """asked: the target is the local cloud, so that what is wrong with it is a failure."""
    condition = control.condition(state)
    status = control.status(state) if condition == "running" else None
    told = read_json(local_files(state).failure) if condition in ("stopped", "ended") else None
    yield cloud(condition, status, failure=told.get("message") if told else None, asked=asked)


def cloud(condition: Condition, status: LocalStatus | None, *, failure: str | None, asked: bool) -> Check:
    """status: of a running one. failure: why the last start failed."""
    bad: Outcome = "failed" if asked else "warning"
    if status is not None and status.cloud is not None:
        return _running(status, bad)
    if condition == "silent":
        return Check("local_cloud", bad, "its process runs and does not answer", _RESTART)
    if failure:
        return Check("local_cloud", bad, f"not running; the last start failed: {failure}", _START)
    if condition == "ended":
        seen = "not running; it was killed or crashed, its data is kept (imgpipe local logs)"
        return Check("local_cloud", "warning", seen, _START)
    return Check("local_cloud", "ok", f"not running ({_START})")


def _running(status: LocalStatus, bad: Outcome) -> Check:
    assert status.cloud is not None
    seen = f"runs at {status.cloud.endpoint} (process {status.cloud.pid})"
    if status.uptime_s is None:
        return Check("local_cloud", bad, f"{seen}, too busy to answer", _RESTART)
    if status.disk_trouble:
        fix = f"Make room for {status.data_dir}."
        return Check("local_cloud", bad, f"{seen}, cannot keep data: {status.disk_trouble}", fix)
    if status.version != __version__:
        seen = f"{seen}, started by imgpipe {status.version or 'of another version'}; this is {__version__}"
        return Check("local_cloud", "warning", seen, _RESTART)
    projects = ", ".join(status.projects or ()) or "none"
    return Check("local_cloud", "ok", f"{seen}, imgpipe {status.version}; pipelines: {projects}")


def models_in(state: Path) -> Iterator[Check]:
    folder = ModelFolder(models_folder(state))
    yield models({model.name: folder.condition(model) for model in catalogue.MODELS if not model.optional})


def models(conditions: Mapping[str, ModelCondition]) -> Check:
    """conditions: of the base models, by name."""
    fetch = "imgpipe local models fetch"
    by: dict[ModelCondition, list[str]] = {}
    for name, condition in conditions.items():
        by.setdefault(condition, []).append(name)
    if damaged := by.get("damaged"):
        return Check("local_models", "warning", f"damaged and not used: {', '.join(damaged)}", fetch)
    words = {"installed": "installed", "missing": f"not installed ({fetch})"}
    seen = "; ".join(f"{', '.join(by[state])}: {words[state]}" for state in words if state in by)
    return Check("local_models", "ok", seen)


def disk_of(state: Path, *, asked: bool) -> Iterator[Check]:
    there = state
    while not os.path.exists(there) and there != there.parent:  # noqa: PTH110 (closed is not there)
        there = there.parent
    yield disk(shutil.disk_usage(there).free, there, asked=asked)


def disk(free_bytes: int, folder: Path, *, asked: bool) -> Check:
    """Room for the state folder, where the local cloud keeps pictures and results."""
    seen = f"{functions.picture.size_text(free_bytes)} free for {folder}"
    if free_bytes >= _LITTLE_BYTES:
        return Check("disk", "ok", seen)
    fix = "Make room, or name a folder on another disk in IMGPIPE_STATE_DIR."
    full = free_bytes < _NONE_BYTES and asked
    return Check("disk", "failed" if full else "warning", seen, fix)
