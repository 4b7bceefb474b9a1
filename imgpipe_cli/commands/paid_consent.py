"""The yes that is needed before many pictures are sent to where each analysis is billed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from imgpipe_cli.commands import month_limit
from imgpipe_cli.commands.runtime import Run, can_ask, need_confirmation
from imgpipe_cli.errors import ExitCode, Problem

if TYPE_CHECKING:
    from imgpipe_cli.pictures.sending.picture import Rules
    from imgpipe_cli.pictures.sending.plan import Planned
    from imgpipe_cli.session.connection import Connection
    from imgpipe_cli.session.settings import Settings

UNASKED = 100
"""So many analyses are carried out without a question."""


def confirm(
    run: Run,
    connection: Connection,
    planned: Iterable[Planned],
    rules: Rules,
    *,
    yes: bool,
    force: bool = False,
) -> None:
    """Say what sending these may cost, and ask. Raises Problem where the answer is not yes.

    planned is walked through several times.
    """
    from imgpipe_cli.pictures.sending.estimate import count

    settings = None if yes else settings_of_many(connection, count(planned, UNASKED))
    told = cost(run, connection, planned, rules, settings, force=force) if settings else ""
    if not told:
        return
    if not can_ask():
        run.screen.aside(told)
    need_confirmation(yes, f"Sending pictures for more than {UNASKED} analyses")
    if not is_agreed(run, told):
        raise Problem("not_confirmed", "Nothing was sent.", exit_code=ExitCode.FAILED)


def is_agreed(run: Run, told: str) -> bool:
    """Whether the person at the terminal says yes to this cost."""
    answer = run.screen.ask(f"{told} Send the pictures? [y/N]") or ""
    return answer.lower() in ("y", "yes")


def cost(
    run: Run,
    connection: Connection,
    planned: Iterable[Planned],
    rules: Rules,
    settings: Settings,
    *,
    force: bool = False,
    before: int = 0,
) -> str:
    """What sending these may cost, in words; "" where that is UNASKED analyses or fewer.

    settings: those of the pipeline. before: how many pictures came just before, and count with these.
    """
    from imgpipe_cli.pictures.sending.estimate import estimate
    from imgpipe_cli.render import costs, text

    features = settings.features
    with run.screen.progress.busy("counting_pictures"):
        found = estimate(connection.aws, connection.names.bucket, planned, rules, force=force)
    if not found.pictures or (before + found.pictures) * len(features) <= UNASKED:
        return ""
    told = [costs.at_most(dict.fromkeys(features, found.pictures), found.copies, local=False)]
    if before:
        told.append(f"{text.count(before, 'picture')} came within the minute before.")
    if settings.monthly_limit and (left := month_limit.left(run)):
        told.append(left)
    return " ".join(told)


def settings_of_many(
    connection: Connection,
    pictures: int,
    read: Callable[[Connection], Settings | None] | None = None,
) -> Settings | None:
    """Those of the pipeline, where so many pictures may be more than UNASKED analyses that are billed; else
    None. Raises Problem.

    read: how they are found.
    """
    from imgpipe_cli.deploy import pipeline_info
    from imgpipe_cli.session.settings import FEATURES

    if pictures * len(FEATURES) <= UNASKED or connection.target.local:
        return None
    found = (read or pipeline_info.settings)(connection)
    return found if found and pictures * len(found.features) > UNASKED else None
