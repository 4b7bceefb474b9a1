"""`imgpipe list`: the results, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands.asking import answered
from imgpipe_cli.commands.base import Result, Run, command
from imgpipe_cli.commands.upload import MinConfidenceOption, shown_from
from imgpipe_cli.moments import SINCE_HELP, iso, moment
from imgpipe_cli.problems import ExitCode, Problem

if TYPE_CHECKING:
    from imgpipe_cli.listing import Item, Status, Wanted
    from imgpipe_cli.target import Remembered

_STATUSES: dict[str, Status] = {"done": "done", "failed": "failed", "retrying": "retrying"}
_LIMIT = 20


def register(app: typer.Typer) -> None:
    @command(app, "list")
    def newest(
        run: Run,
        status: Annotated[
            str | None,
            typer.Option("--status", metavar="|".join(_STATUSES), help="Only those with this verdict."),
        ] = None,
        label: Annotated[
            str | None, typer.Option("--label", metavar="NAME", help="Only those that show this.")
        ] = None,
        prefix: Annotated[
            str, typer.Option("--prefix", metavar="PREFIX", help="Only keys that begin so.")
        ] = "",
        since: Annotated[
            str | None,
            typer.Option("--since", metavar="TIME", help=f"Only those analyzed since then: {SINCE_HELP}."),
        ] = None,
        limit: Annotated[
            int,
            typer.Option(
                "--limit",
                min=0,
                metavar="NUMBER",
                show_default=False,
                help="How many at most (default 20); 0 for all.",
            ),
        ] = _LIMIT,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Show the results, newest first."""
        from imgpipe_cli.listing import Wanted, matching, page_size

        verdict = _status(status)
        start = iso(moment(since, datetime.now(UTC))) if since is not None else ""
        size = page_size(Wanted(verdict, label, prefix=prefix), limit)
        first, rest = answered(run, lambda pipeline: _begun(pipeline, size))
        threshold = shown_from(run, min_confidence, run.pipeline())
        wanted = Wanted(verdict, label, threshold, prefix, start)
        items = matching(chain([first], rest), wanted, limit)
        if run.options.json:
            filtering = run.asked("min_confidence", min_confidence) is not None
            shown = _stream(run, items, threshold if filtering else None)
        else:
            shown = _table(run, items, threshold)
        _say_what_is_not_shown(run, shown, limit, wanted, empty=not first and next(rest, None) is None)
        return Result(streamed=True)


def _begun(pipeline: Remembered, size: int) -> tuple[list[Item], Iterator[list[Item]]]:
    """The first page, and those after it, which are asked for when they are needed."""
    from imgpipe_cli.api import Api
    from imgpipe_cli.listing import pages

    found = pages(Api(pipeline.api_url, pipeline.token), size)
    return next(found), found


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    if text not in _STATUSES:
        raise Problem(
            "bad_usage",
            f"{text!r} is not a status.",
            hint=f"Choose from {', '.join(_STATUSES)}.",
            exit_code=ExitCode.USAGE,
        )
    return _STATUSES[text]


def _stream(run: Run, items: Iterator[Item], threshold: float | None) -> int:
    from imgpipe_cli.listing import filtered

    shown, keys = 0, list[str]()
    for item in items:
        run.stream(filtered(item, threshold) if threshold is not None else item)
        if shown < _LIMIT:
            keys.append(item["objectKey"])
        shown += 1
    run.seen(keys)
    return shown


def _table(run: Run, items: Iterator[Item], threshold: float) -> int:
    from imgpipe_cli.render import listings

    found = list(items)
    run.seen(item["objectKey"] for item in found)
    if found:
        run.screen.show(listings.table(found, threshold))
    return len(found)


def _say_what_is_not_shown(run: Run, shown: int, limit: int, wanted: Wanted, *, empty: bool) -> None:
    if shown == 0:
        everything = wanted.everything and not wanted.since
        run.note("no_results" if empty and everything else "no_match")
    elif shown == limit and not run.options.json:
        run.note("list_limited", str(limit))
