"""`imgpipe local models`: what the local analysis can be given beyond what is installed with imgpipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.help_pages import GroupPage
from imgpipe_cli.commands.object_model import install
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.system.state_dir import state_dir

if TYPE_CHECKING:
    from imgpipe_cli.local.models.catalogue import Model
    from imgpipe_cli.local.models.store import ModelFolder
    from imgpipe_cli.render.screen import Screen


def register(group: typer.Typer) -> None:
    models = typer.Typer(
        name="local models", cls=GroupPage, help="List or install models.", rich_markup_mode=None
    )
    group.add_typer(models, name="models")

    @command(models, without_name=True)
    def listed() -> Result:
        """List the models for the local analysis; `fetch` installs."""
        from imgpipe_cli.local.models.store import object_model

        known = [_told(*object_model())]
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
        from imgpipe_cli.local.models.store import object_model

        folder, model = object_model()
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
            install(run, folder, model, from_file, url)
        told = {**_told(folder, model), "changed": not there}
        return Result(told, lambda screen: _show_installed(screen, folder, model, already=there))


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
        screen.line("The local cloud uses it from the next picture on; earlier results stay as they are.")
