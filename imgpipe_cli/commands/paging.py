"""Results page by page, as `list` and `find` show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.errors import ExitCode, Problem

if TYPE_CHECKING:
    from imgpipe_cli.pictures.listing import CutShort, Pages
    from shared.result_item import ResultItem

LIMIT = 20

LimitOption = Annotated[
    int,
    typer.Option(
        "--limit",
        min=0,
        metavar="NUMBER",
        show_default=False,
        help="How many at most (default 20); 0 for all.",
    ),
]
AfterOption = Annotated[
    str | None,
    typer.Option("--after", metavar="CURSOR", help="Go on where a list was cut short."),
]


def say_how_far(run: Run, index: Mapping[str, Any]) -> None:
    """While the index is being filled; index: as the API tells."""
    if index.get("complete"):
        return
    if index.get("of"):
        run.note("index_filling", f"{index['filled']} of {index['of']}")
    else:
        run.note("index_begun")


class _Items:
    """Results up to where their list ends, or is cut short."""

    def __init__(self, found: Iterator[ResultItem]) -> None:
        self._found = found
        self.cut_short: CutShort | None = None

    def __iter__(self) -> Iterator[ResultItem]:
        from imgpipe_cli.pictures.listing import CutShort

        try:
            yield from self._found
        except CutShort as why:
            self.cut_short = why


def cut_short(why: CutShort, trouble: Problem | None) -> Problem:
    """What was shown counts all the same. trouble: of the local cloud."""
    if trouble is not None:
        more = f"{trouble.hint} Add --after {why.after} to go on from here."
        return Problem(trouble.code, trouble.message, hint=more)
    return Problem(
        "list_cut_short",
        f"The list ends here before its end: the API does not answer ({why}).",
        hint=f"Go on with the same command and --after {why.after}",
    )


def parse_cursor(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise _no_cursor(text)
    return text


def _no_cursor(text: str) -> Problem:
    return Problem(
        "bad_usage",
        f"{text or 'An empty text'} is not the cursor of a list.",
        hint="A list that is cut short says which to give to --after.",
        exit_code=ExitCode.USAGE,
    )


def begun(source: Pages, size: int, after: str | None) -> tuple[list[ResultItem], Iterator[list[ResultItem]]]:
    """The first page, and those after it, which are asked for when they are needed."""
    from imgpipe_cli.pictures.listing import pages

    found = pages(_Shown(source, after), size, after)
    try:
        return next(found), found
    except Problem as error:
        if error.code == "invalid_cursor" and after is not None:
            raise _no_cursor(after) from error
        raise


@dataclass(frozen=True)
class _Shown:
    """Pages of which those before a refusal are shown. start: the cursor of the first."""

    source: Pages
    start: str | None

    def results(self, *, limit: int, after: str | None) -> tuple[list[ResultItem], str | None]:
        from imgpipe_cli.pictures.api import ApiUnavailable

        try:
            return self.source.results(limit=limit, after=after)
        except Problem as problem:
            if after == self.start:
                raise
            # As where the token was replaced meanwhile: what was read before it is shown.
            raise ApiUnavailable(problem.message.rstrip(".")) from problem


def show(run: Run, found: Iterator[ResultItem], threshold: float, min_confidence: float | None) -> int:
    """How many results were shown, as a table or as JSON, which is filtered only where that is asked for.

    Raises Problem after them where their list was cut short.
    """
    items = _Items(found)
    if run.options.json:
        filtering = run.asked("min_confidence", min_confidence) is not None
        shown = _stream(run, items, threshold if filtering else None)
    else:
        shown = _table(run, items, threshold)
    if items.cut_short is not None:
        raise cut_short(items.cut_short, run.trouble(items.cut_short))
    return shown


def _stream(run: Run, items: Iterable[ResultItem], threshold: float | None) -> int:
    from imgpipe_cli.pictures.listing import filtered

    shown, keys = 0, list[str]()
    for item in items:
        run.stream(filtered(item, threshold) if threshold is not None else item)
        if shown < LIMIT:
            keys.append(item["objectKey"])
        shown += 1
    run.seen(keys)
    return shown


def _table(run: Run, items: Iterable[ResultItem], threshold: float) -> int:
    from imgpipe_cli.render import listings

    found = list(items)
    run.seen(item["objectKey"] for item in found)
    if found:
        run.screen.show(listings.table(found, threshold))
    return len(found)
