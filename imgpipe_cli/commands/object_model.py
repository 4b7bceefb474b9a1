"""The object model of the local analysis: offering it in `up --local`, and showing how its download goes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe_cli.errors import Problem

if TYPE_CHECKING:
    from imgpipe_cli.commands.runtime import Run
    from imgpipe_cli.local.models.catalogue import Model
    from imgpipe_cli.local.models.store import ModelFolder

# During `up`, nobody should wait long for a network that is not there.
_TIMEOUT_IN_UP_S = 4.0


def offer(run: Run, *, yes: bool, declined: bool) -> None:
    """In `up --local`: see to the object model. Asks at most once, and never fails."""
    from imgpipe_cli.local.models.consent import Consent
    from imgpipe_cli.local.models.store import is_installed, object_model

    folder, model = object_model()
    if is_installed():
        return
    asked = Consent(folder.folder / "asked")
    if declined:
        asked.remember("no")
        return
    if not yes and asked.answer is None and _at_a_terminal(run):
        agreed = _agreed(run, model)
        if agreed is not None:
            asked.remember("yes" if agreed else "no")
        yes = bool(agreed)
    if yes:
        try:
            _download(run, folder, model, None, answer_within_s=_TIMEOUT_IN_UP_S)
        except Problem as problem:
            run.note("model_not_fetched", problem.message)
        else:
            run.note("model_installed", f"{model.name} ({model.license})")
    elif asked.answer != "no":
        run.note("no_object_model")


def _at_a_terminal(run: Run) -> bool:
    return bool(run.screen.interactive and not run.screen.json and sys.stdin and sys.stdin.isatty())


def _agreed(run: Run, model: Model) -> bool | None:
    """None without an answer."""
    from urllib.parse import urlsplit

    from imgpipe_cli.render.text import size

    answer = run.screen.ask(
        f"The local analysis finds faces, text and QR codes. To name objects it needs the model {model.name} "
        f"({size(model.size_bytes)}, {model.license}) from {urlsplit(model.release).hostname}. "
        "Download it now? [Y/n]"
    )
    return None if answer is None else answer.lower() in ("", "y", "yes")


def install(run: Run, folder: ModelFolder, model: Model, source: Path | None, url: str | None) -> None:
    """Take the model from a file, or from the net. Raises Problem without the right file."""
    from imgpipe_cli.local.models.download import host
    from imgpipe_cli.local.models.install import install_file
    from imgpipe_cli.render.text import size

    if source is not None:
        try:
            install_file(folder, model, source, _progress(run, model))
        finally:
            run.screen.close()
        return
    place = host(model.release if url is None else url) or "the given address"
    run.note("downloading", f"{model.file} ({size(model.size_bytes)}) from {place}")
    _download(run, folder, model, url)


def _download(run: Run, folder: ModelFolder, model: Model, url: str | None, **patience: float) -> None:
    from imgpipe_cli.local.models.download import download

    try:
        download(folder, model, _progress(run, model), url=url, **patience)
    finally:
        run.screen.close()  # the bar, before anything else is drawn


def _progress(run: Run, model: Model) -> Callable[[int], None]:
    from imgpipe_cli.events import Downloaded

    return lambda done_bytes: run.emit(Downloaded(model.file, done_bytes, model.size_bytes))
