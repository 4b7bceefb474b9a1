"""What the shell is offered for a word that is being typed: only what this machine remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from imgpipe_cli.errors import Problem


def projects(incomplete: str) -> list[str]:
    """The pipelines that were set up from here."""
    from imgpipe_cli.session.remembered import Targets

    try:
        last, known = Targets().read()
    except Problem:
        return []
    names = dict.fromkeys([last.project, *(entry.target.project for entry in known)])
    return [name for name in names if name.startswith(incomplete)]


def keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """The keys last seen in the pipeline that the rest of the line means, but for those it has already."""
    from imgpipe_cli.commands.chosen import Options, resolve
    from imgpipe_cli.session import project_file, recent_keys
    from imgpipe_cli.session.remembered import Targets

    given: dict[str, Any] = {**(ctx.parent.params if ctx.parent else {}), **_set(ctx.params)}
    options = Options(given.get("project"), given.get("profile"), given.get("region"), given.get("local"))
    try:
        target, _ = resolve(options, project_file.read(Path()), Targets())
        found = recent_keys.of(target)
    except Problem:
        return []
    typed = ctx.params.get("keys") or ()
    return [key for key in found if key.startswith(incomplete) and key not in typed]


def _set(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
