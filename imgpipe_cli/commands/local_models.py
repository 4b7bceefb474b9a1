"""`imgpipe local models`: what the local analysis can be given beyond what is installed with imgpipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.help_pages import GroupPage
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir

if TYPE_CHECKING:
    from imgpipe_cli.local.models.catalogue import Model
    from imgpipe_cli.local.models.store import ModelFolder
    from imgpipe_cli.render.screen import Screen

# During `up`, nobody should wait long for a network that is not there.
_PATIENCE_IN_UP_S = 4.0


def register(group: typer.Typer) -> None:
    models = typer.Typer(
        name="local models", cls=GroupPage, help="List or install models.", rich_markup_mode=None
    )
    group.add_typer(models, name="models")

    @command(models, without_name=True)
    def listed() -> Result:
        """List the models for the local analysis; `fetch` installs."""
        known = [_told(*_known())]
        return Result({"models": known}, lambda screen: _show(screen, known))

    @command(models, "fetch")
    def fetch(
        run: Run,
        from_file: Annotated[
            Path | None, typer.Option("--from", metavar="FILE", help="Install a file that you already have.")
        ] = None,
        url: Annotated[
            str | None,
            typer.Option("--url", metavar="URL", help="Fetch from a mirror; size and hash must be the same."),
        ] = None,
    ) -> Result:
        """Download the object model (19 MB, Apache-2.0), or install it from a file; safe to run again."""
        folder, model = _known()
        if from_file is not None and url is not None:
            raise Problem(
                "bad_usage",
                "--from and --url exclude each other.",
                hint="Name a file or an address.",
                exit_code=ExitCode.USAGE,
            )
        there = from_file is None and folder.condition(model) == "installed"
        if not there:
            state_dir()  # private from the outset
            _install(run, folder, model, from_file, url)
        told = {**_told(folder, model), "changed": not there}
        return Result(told, lambda screen: _show_installed(screen, folder, model, already=there))


def offer(run: Run, *, yes: bool, declined: bool) -> None:
    """In `up --local`: see to the object model. Asks at most once, and never fails."""
    folder, model = _known()
    if is_installed():
        return
    asked = _Asked(folder.folder / "asked")
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
            _download(run, folder, model, None, answer_within_s=_PATIENCE_IN_UP_S)
        except Problem as problem:
            run.note("model_not_fetched", problem.message)
        else:
            run.note("model_installed", f"{model.name} ({model.license})")
    elif asked.answer != "no":
        run.note("no_object_model")


def is_installed() -> bool:
    """By its size only: its hash takes a while."""
    folder, model = _known()
    stamp = folder.stamp(model)
    return stamp is not None and stamp[1] == model.size_bytes


class _Asked:
    """What the user said to the offer, for the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answer: str | None = None
        try:
            self.answer = file_io.read(path, at_most=16).decode("ascii").strip() or None
        except (OSError, ValueError):
            self.answer = None

    def remember(self, answer: str) -> None:
        self.answer = answer
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file_io.write(self._path, answer)
        except OSError:
            return  # then it is asked again


def _at_a_terminal(run: Run) -> bool:
    return bool(run.screen.interactive and not run.screen.json and sys.stdin and sys.stdin.isatty())


def _agreed(run: Run, model: Model) -> bool | None:
    """None without an answer."""
    from urllib.parse import urlsplit

    from imgpipe_cli.render.text import size

    answer = run.screen.ask(
        f"The local analysis finds faces, text and QR codes. To name objects it needs the model {model.name} "
        f"({size(model.size_bytes)}, {model.license}) from {urlsplit(model.url).hostname}. "
        "Download it now? [Y/n]"
    )
    return None if answer is None else answer.lower() in ("", "y", "yes")


def _known() -> tuple[ModelFolder, Model]:
    # The module is looked up at each call, so that tests can put another model into the catalogue.
    from imgpipe_cli.local.models import catalogue
    from imgpipe_cli.local.models.store import ModelFolder, models_folder

    return ModelFolder(models_folder()), catalogue.OBJECTS


def _install(run: Run, folder: ModelFolder, model: Model, source: Path | None, url: str | None) -> None:
    from imgpipe_cli.local.models.download import host
    from imgpipe_cli.local.models.install import install_file
    from imgpipe_cli.render.text import size

    if source is not None:
        try:
            install_file(folder, model, source, _progress(run, model))
        finally:
            run.screen.close()
        return
    place = host(model.url if url is None else url) or "the given address"
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


def _told(folder: ModelFolder, model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "condition": folder.condition(model),
        "does": model.what,
        "file": str(folder.path(model)),
        "sizeBytes": model.size_bytes,
        "sha256": model.sha256,
        "confirmed": model.confirmed,
        "license": model.license,
        "source": model.source,
    }


def _show(screen: Screen, models: list[dict[str, Any]]) -> None:
    from imgpipe_cli.render.text import size

    words = {
        "installed": "installed",
        "missing": "not installed: imgpipe local models fetch",
        "damaged": "damaged and not used: imgpipe local models fetch replaces it",
    }
    for model in models:
        screen.line(f"{model['name']}  {words[model['condition']]}")
        for name, value in (
            ("does", model["does"]),
            ("file", model["file"]),
            ("size", f"{size(model['sizeBytes'])} ({model['sizeBytes']:,} bytes)"),
            ("sha256", model["sha256"]),
            ("pinned", model["confirmed"]),
            ("license", model["license"]),
            ("source", model["source"]),
        ):
            screen.line(f"  {name:<9} {value}")


def _show_installed(screen: Screen, folder: ModelFolder, model: Model, *, already: bool) -> None:
    screen.line(f"{model.name} is {'already ' if already else ''}installed: {folder.path(model)}")
    if not already:
        screen.line("The local cloud uses it from the next picture on; earlier verdicts stay as they are.")
