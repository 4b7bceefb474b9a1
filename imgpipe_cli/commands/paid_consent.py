"""The yes that is needed before many pictures are sent to where each analysis is billed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imgpipe_cli.commands.runtime import Run, can_ask, need_confirmation
from imgpipe_cli.errors import ExitCode, Problem

if TYPE_CHECKING:
    from imgpipe_cli.pictures.sending.picture import Rules
    from imgpipe_cli.pictures.sending.plan import Planned
    from imgpipe_cli.session.connection import Connection

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
    told = "" if yes else cost(run, connection, planned, rules, force=force)
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
    *,
    force: bool = False,
    before: int = 0,
) -> str:
    """What sending these may cost, in words; "" where that is UNASKED analyses or fewer, or on this machine,
    where nothing is billed.

    before: how many pictures came just before, and count with these.
    """
    from imgpipe_cli.pictures.sending.estimate import count, estimate
    from imgpipe_cli.render import costs, text

    features = features_of_many(connection, before + count(planned, UNASKED))
    if not features:
        return ""
    with run.screen.progress.busy("counting_pictures"):
        found = estimate(connection.aws, connection.names.bucket, planned, rules, force=force)
    if not found.pictures or (before + found.pictures) * len(features) <= UNASKED:
        return ""
    told = costs.at_most(dict.fromkeys(features, found.pictures), found.copies, local=False)
    return f"{told} {text.count(before, 'picture')} came within the minute before." if before else told


def features_of_many(connection: Connection, pictures: int) -> Sequence[str]:
    """Those of the pipeline, where so many pictures may be more than UNASKED analyses that are billed; else
    none. Raises Problem."""
    from imgpipe_cli.deploy import pipeline_info
    from imgpipe_cli.session.settings import FEATURES

    if pictures * len(FEATURES) <= UNASKED or connection.target.local:
        return ()
    features = pipeline_info.features(connection)
    return features if pictures * len(features) > UNASKED else ()
