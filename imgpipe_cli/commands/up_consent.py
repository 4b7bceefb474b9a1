"""The yes that `imgpipe up` needs before it does what cannot be taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from imgpipe_cli.commands.runtime import Run, need_confirmation

if TYPE_CHECKING:
    from imgpipe_cli.deploy.observe import Snapshot
    from imgpipe_cli.deploy.pipeline import Pipeline
    from imgpipe_cli.session.settings import Settings


def agreed(settings: Settings, *, yes: bool) -> Collection[str]:
    """The moves of results that the user has agreed to."""
    from imgpipe_cli.session.settings import MOVES

    return MOVES if yes else ("", settings.move)


def over_stored(asked: Callable[[Settings], Settings], agreed: Collection[str], stored: Settings) -> Settings:
    """What is asked for over what another `up` has just stored, unless that moves results unasked."""
    from imgpipe_cli.errors import Problem

    wanted = asked(stored)
    if wanted.move not in (*agreed, stored.move):
        raise Problem(
            "overtaken",
            f"Another imgpipe up changed the settings while this ran: results is {stored.destination}, not "
            f"{wanted.destination}. Nothing was migrated.",
            hint="Run imgpipe up again to have yours.",
        )
    return wanted


def confirm_older(run: Run, functions: Collection[str], *, yes: bool) -> None:
    """A yes before newer code is replaced by that of this older imgpipe."""
    from imgpipe_cli.errors import Problem

    need_confirmation(yes, "Replacing newer code by older")
    if yes:
        return
    question = f"Replace the newer code of {', '.join(functions)}? [y/N]"
    if (run.screen.ask(question) or "").lower() not in ("y", "yes"):
        raise Problem("not_confirmed", "Nothing was changed.", hint="Upgrade imgpipe on this machine.")


def confirm_move(
    run: Run, pipeline: Pipeline, snapshot: Snapshot, settings: Settings, known: Settings | None, *, yes: bool
) -> None:
    """A yes before results move from one store to the other, since the old one is removed then."""
    from imgpipe_cli.deploy.results import migrate
    from imgpipe_cli.errors import Problem

    if yes or not settings.move or (known and known.move == settings.move):
        return
    need_confirmation(yes, "Migrating the results to another store")
    migrate.refuse_lasting(pipeline, snapshot, settings)
    old, new = migrate.store_names(pipeline, settings)
    count = migrate.results_to_move(pipeline, snapshot, settings)
    question = (
        f"Results ({count:,}) are copied from {old} to {new}; then {old} is removed. Migrate them? [y/N]"
    )
    if (run.screen.ask(question) or "").lower() not in ("y", "yes"):
        raise Problem("not_confirmed", "Nothing was changed.")
