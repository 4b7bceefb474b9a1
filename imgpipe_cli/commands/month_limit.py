"""What the month's limit leaves, before pictures are analyzed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgpipe_cli.commands.asking import answered
from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.errors import Problem

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.retry.judging import Picture
    from imgpipe_cli.diagnose.retry.retrying import Found
    from imgpipe_cli.pictures.api import Usage


@dataclass(frozen=True)
class Room:
    """The pictures, where those that would only fail at the limit are not chosen, and of no help.

    left: how many analyses the limit leaves, None where it was not asked for. told: that in words.
    refused: why some were left out.
    """

    found: Found
    chosen: Sequence[Picture]
    left: int | None = None
    told: str = ""
    refused: Problem | None = None


def room(run: Run, found: Found, chosen: Sequence[Picture]) -> Room:
    """Ask what the limit leaves where pictures that need room in it are among the chosen."""
    from imgpipe_cli.diagnose.retry.judging import needs_room
    from imgpipe_cli.render import costs
    from imgpipe_cli.render.text import count

    features = found.settings.features
    over = {one.key for one in chosen if needs_room(one, features)}
    usage = _usage(run) if over else None
    if usage is None or usage.limit is None:
        return Room(found, chosen)
    told = costs.left(usage)
    if usage.left:
        return Room(found, chosen, usage.left, told)
    pictures = [replace(one, helps=False) if needs_room(one, features) else one for one in found.pictures]
    refused = Problem(
        "over_limit",
        f"{told} {count(len(over), 'picture needs', 'pictures need')} an analysis.",
        hint="Raise it with imgpipe up --monthly-limit N, or run imgpipe retry next month.",
    )
    return Room(
        replace(found, pictures=tuple(pictures)),
        [one for one in chosen if one.key not in over],
        0,
        f"{refused.message} {refused.hint}",
        refused,
    )


def left(run: Run) -> str:
    """What the limit leaves, in words; "" where there is none, or the API does not tell."""
    from imgpipe_cli.render import costs

    usage = _usage(run)
    return costs.left(usage) if usage is not None and usage.limit is not None else ""


def _usage(run: Run) -> Usage | None:
    """None where the API does not tell: each analysis is held against the limit all the same."""
    from imgpipe_cli.pictures.api import Api, repeated

    with contextlib.suppress(Problem):
        return answered(run, lambda pipeline: repeated(lambda: Api(pipeline.api_url, pipeline.token).usage()))
    return None
