"""`imgpipe list`: the results, newest first."""

from __future__ import annotations

from collections.abc import Iterator
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
    from imgpipe_cli.pictures.listing import Wanted
    from imgpipe_cli.session.target import Remembered
    from shared.result_item import ResultItem


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
        from imgpipe_cli.pictures.listing import Wanted, matching, page_size

        wanted_status = status_named(status)
        start = iso(moment(since, datetime.now(UTC))) if since is not None else ""
        cursor = parse_cursor(after)
        threshold = shown_from(run, min_confidence, run.pipeline())
        wanted = Wanted(wanted_status, label, threshold, prefix, start)
        size = page_size(wanted, limit)
        first, rest = answered(run, lambda pipeline: _begun(pipeline, wanted, size, cursor))
        shown = show(run, matching(chain([first], rest), wanted, limit), threshold, min_confidence)
        _say_what_is_not_shown(run, shown, limit, wanted, empty=not first and next(rest, None) is None)
        return Result(streamed=True)


def _begun(
    pipeline: Remembered, wanted: Wanted, size: int, after: str | None
) -> tuple[list[ResultItem], Iterator[list[ResultItem]]]:
    """The first page, and those after it, which are asked for when they are needed."""
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.pictures.listing import PatientPages

    return begun(PatientPages(Api(pipeline.api_url, pipeline.token), wanted), size, after)


def _say_what_is_not_shown(run: Run, shown: int, limit: int, wanted: Wanted, *, empty: bool) -> None:
    if shown == 0:
        everything = wanted.everything and not wanted.since
        run.note("no_results" if empty and everything else "no_match")
    elif shown == limit and not run.options.json:
        run.note("list_limited", str(limit))
