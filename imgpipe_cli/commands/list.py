"""`imgpipe list`: the results, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import typer

from imgpipe_cli.commands.asking import answered, shown_from
from imgpipe_cli.commands.options import (
    LabelOption,
    MinConfidenceOption,
    PrefixOption,
    SinceOption,
    StatusOption,
    status_named,
)
from imgpipe_cli.commands.paging import LIMIT, AfterOption, LimitOption, begun, parse_cursor, show
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.result import Result
from imgpipe_cli.session.times import iso, moment

if TYPE_CHECKING:
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.pictures.listing import Wanted


def register(app: typer.Typer) -> None:
    @command(app, "list")
    def newest(
        run: Run,
        status: StatusOption = None,
        label: LabelOption = None,
        prefix: PrefixOption = "",
        since: SinceOption = None,
        limit: LimitOption = LIMIT,
        after: AfterOption = None,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Show the results, newest first."""
        from imgpipe_cli.pictures.api import Api
        from imgpipe_cli.pictures.listing import Wanted, matching

        wanted_status = status_named(status)
        start = iso(moment(since, datetime.now(UTC))) if since is not None else ""
        cursor = parse_cursor(after)
        threshold = shown_from(run, min_confidence, run.pipeline())
        wanted = Wanted(wanted_status, label, threshold, prefix, start)
        found = answered(
            run, lambda pipeline: _Begun(Api(pipeline.api_url, pipeline.token), wanted, limit, cursor)
        )
        items = matching(chain([found.first], found.rest), wanted, limit)
        shown = show(run, items, threshold, min_confidence)
        _say_what_is_not_shown(run, found, shown, limit)
        return Result(streamed=True)


class _Begun:
    """A list of which the first page is there; those after it are asked for when they are needed."""

    def __init__(self, api: Api, wanted: Wanted, limit: int, after: str | None) -> None:
        from imgpipe_cli.pictures.listing import PAGE, PatientPages

        self.source = PatientPages(api, wanted, left=limit or None)
        self.first, self.rest = begun(self.source, PAGE, after)

    def is_empty(self) -> bool:
        return not self.first and next(self.rest, None) is None


def _say_what_is_not_shown(run: Run, found: _Begun, shown: int, limit: int) -> None:
    wanted = found.source.wanted
    if shown == 0:
        everything = wanted.everything and not wanted.since
        run.note("no_results" if everything and found.is_empty() else "no_match")
    elif shown == limit and found.source.left is None:  # it ended within a page, which has no cursor
        run.note("list_limited", str(limit))
    elif shown == limit and found.source.more:
        run.note("limited", found.source.more)
