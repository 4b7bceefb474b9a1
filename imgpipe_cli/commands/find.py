"""`imgpipe find`: pictures by what is in them."""

from __future__ import annotations

import contextlib
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands.asking import answered, shown_from
from imgpipe_cli.commands.options import MinConfidenceOption, NameOption, PrefixOption, TextOption
from imgpipe_cli.commands.paging import (
    LIMIT,
    AfterOption,
    LimitOption,
    begun,
    parse_cursor,
    say_how_far,
    show,
)
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.pictures.finding import FoundPages, Search

# As the HTTP API takes them.
_MOST_LABELS = 10


def register(app: typer.Typer) -> None:
    @command(app)
    def find(
        run: Run,
        labels: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[LABEL]...",
                show_default=False,
                help="Labels that a picture shows: Animal finds the cat, Cell Phone the Mobile Phone.",
            ),
        ] = None,
        any_label: Annotated[
            bool, typer.Option("--any", help="One of the labels is enough (default: all).")
        ] = False,
        text: TextOption = "",
        name: NameOption = "",
        prefix: PrefixOption = "",
        limit: LimitOption = LIMIT,
        after: AfterOption = None,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Find pictures by labels, by words seen in them and by words of their keys, best first."""
        from imgpipe_cli.pictures.api import Api
        from imgpipe_cli.pictures.finding import Search
        from imgpipe_cli.pictures.listing import Wanted, matching

        if not (labels or text or name):
            raise Problem(
                "bad_usage",
                "Nothing to find is named.",
                hint="Name labels, or give --text or --name: imgpipe find Cat; imgpipe labels lists them.",
                exit_code=ExitCode.USAGE,
            )
        if len(labels or ()) > _MOST_LABELS or not all(label.strip() for label in labels or ()):
            raise Problem(
                "bad_usage",
                f"find takes at most {_MOST_LABELS} labels, and none may be empty.",
                hint="imgpipe labels lists them.",
                exit_code=ExitCode.USAGE,
            )
        cursor = parse_cursor(after)
        threshold = shown_from(run, min_confidence, run.pipeline())
        search = Search(tuple(labels or ()), any_label, text, name, threshold, prefix=prefix)
        found = answered(
            run, lambda pipeline: _Begun(Api(pipeline.api_url, pipeline.token), search, limit, cursor)
        )
        shown = show(run, matching(found.pages, Wanted(), limit), threshold, min_confidence)
        _say_what_is_not_shown(run, found.source, search, shown, limit)
        return Result(streamed=True)


class _Begun:
    """A search of which the first page is there."""

    def __init__(self, api: Api, search: Search, limit: int, after: str | None) -> None:
        from imgpipe_cli.pictures.api import PAGE
        from imgpipe_cli.pictures.finding import FoundPages

        self.source = FoundPages(api, search, left=limit or None)
        first, rest = begun(self.source, PAGE, after)
        self.pages = chain([first], rest)


def _say_what_is_not_shown(run: Run, source: FoundPages, search: Search, shown: int, limit: int) -> None:
    say_how_far(run, source.index or {})
    if shown == 0 and (lacking := _not_looked_for(run, search)):
        run.note("not_looked_for", lacking)
    elif shown == 0 and search.labels and search.leaves_out_stored:
        run.note("none_as_sure", f"{search.min_confidence:g}")
    elif shown == 0:
        run.note("none_found" if search.labels else "no_match")
    elif shown == limit and source.more:
        run.note("limited", source.more)


def _not_looked_for(run: Run, search: Search) -> str:
    """What is searched for that the pipeline does not look for, and how to add it.

    "" where it looks for all that, or where the settings cannot be read: a token is enough to search.
    """
    from imgpipe_cli.deploy import pipeline_info
    from imgpipe_cli.session.settings import FEATURES

    asked = [feature for feature in ("labels", "text") if getattr(search, feature)]
    with contextlib.suppress(Problem):
        found = pipeline_info.settings(run.connect()) if asked else None
        there = found.features if found else ()
        lacking = [feature for feature in asked if there and feature not in there]
        if lacking:
            wanted = ",".join(one for one in FEATURES if one in (*there, *lacking))
            return f"{' and '.join(lacking)}. To add that: imgpipe up --features {wanted}"
    return ""
