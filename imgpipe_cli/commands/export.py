"""`imgpipe export`: results as files of other tools, and as keywords beside the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.asking import answered, shown_from
from imgpipe_cli.commands.options import (
    LabelOption,
    MinConfidenceOption,
    NameOption,
    PrefixOption,
    SinceOption,
    StatusOption,
    TextOption,
    status_named,
)
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.session.times import iso, moment

if TYPE_CHECKING:
    from imgpipe_cli.pictures.exporting.formats import Format
    from imgpipe_cli.pictures.exporting.xmp_sidecars import Naming, Sidecars, Written
    from imgpipe_cli.pictures.finding import FoundPages
    from imgpipe_cli.pictures.listing import Pages, Wanted
    from imgpipe_cli.session.target import Remembered
    from shared.result_item import ResultItem

_TO = "csv|jsonl|sqlite|coco|xmp"
_SIDECAR = "lightroom|darktable|digikam"


def register(app: typer.Typer) -> None:
    @command(app)
    def export(
        run: Run,
        to: Annotated[str, typer.Option("--to", metavar=_TO, help="The format.")],
        out: Annotated[
            Path | None,
            typer.Option("--out", metavar="FILE", help="Write to this file (default: standard output)."),
        ] = None,
        source: Annotated[
            Path | None,
            typer.Option("--from", metavar="FILE", help="Take the results from a file of JSON lines."),
        ] = None,
        maps: Annotated[
            list[str] | None,
            typer.Option(
                "--map",
                metavar="PREFIX=FOLDER",
                help="For xmp: where the pictures of such keys lie; repeatable.",
            ),
        ] = None,
        sidecar: Annotated[
            str | None,
            typer.Option("--sidecar", metavar=_SIDECAR, help="For xmp: name sidecars as this tool expects."),
        ] = None,
        status: StatusOption = None,
        label: LabelOption = None,
        text: TextOption = "",
        name: NameOption = "",
        prefix: PrefixOption = "",
        since: SinceOption = None,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Write results for other tools: tables, data sets, keywords for photo tools."""
        from imgpipe_cli.pictures.listing import Wanted

        found = _format(to)
        _check_options(run, to, found, out, maps=maps, sidecar=sidecar)
        start = iso(moment(since, datetime.now(UTC))) if since is not None else ""
        wanted = Wanted(status_named(status), label, prefix=prefix, since=start)
        results = _Results(run, found, wanted, min_confidence, source, (text, name))
        if found.kind == "sidecars":
            return _beside_pictures(run, found, results, maps or (), sidecar)
        if out is None:
            found.write(results, run.screen)
            run.screen.flush()
            results.say()
            return Result(streamed=True, exit_code=results.exit_code)
        with run.screen.progress.busy("exporting"):
            _to_file(found, results, out)
        results.say()
        data = {"to": to, "out": str(out), "results": results.number}
        return Result(
            data=data,
            errors=results.errors,
            exit_code=results.exit_code,
            show=lambda screen: screen.line(f"{results.words} in {out}."),
        )


class _Results:
    """The results that are asked for, once through; and how many they were."""

    def __init__(
        self,
        run: Run,
        wanted_by: Format,
        wanted: Wanted,
        asked: float | None,
        source: Path | None,
        words: tuple[str, str],
    ) -> None:
        """words: of the text in a picture, and of its key. Raises a usage Problem."""
        if source is not None and any(words):
            raise _usage("Words are found in a pipeline, not in a file.", "Leave out --text and --name.")
        self.number = 0
        self._words = words
        self._index: FoundPages | None = None
        self._others: list[int] = []
        self._run = run
        self._wanted = wanted
        self._asked = asked
        self._source = source
        self._whole = wanted_by.whole

    @property
    def words(self) -> str:
        from imgpipe_cli.render.text import count

        return count(self.number, "result")

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.FAILED if self._others else ExitCode.DONE

    @property
    def errors(self) -> list[dict[str, str]]:
        """For JSON: which lines of the file are no results."""
        if not self._others:
            return []
        return [{"code": "not_results", "message": f"No results: {self._where}.", "hint": ""}]

    @property
    def _where(self) -> str:
        from imgpipe_cli.pictures.sources import few

        return f"{self._source}, line {few([str(one) for one in self._others])}"

    def say(self) -> None:
        if self._others and not self._run.options.json:
            self._run.note("not_results", self._where)
        if self._index is not None and self._index.index:
            from imgpipe_cli.commands.paging import say_how_far

            say_how_far(self._run, self._index.index)
        if not self.number:
            self._run.note("no_match")

    def __iter__(self) -> Iterator[ResultItem]:
        from imgpipe_cli.pictures.listing import filtered

        items, threshold = self._stored() if self._source is None else self._recorded(self._source)
        for item in items:
            self.number += 1
            yield item if threshold is None else filtered(item, threshold)

    def _stored(self) -> tuple[Iterator[ResultItem], float | None]:
        from imgpipe_cli.pictures.exporting import recorded
        from imgpipe_cli.pictures.listing import matching

        confidence = shown_from(self._run, self._asked, self._run.pipeline())
        wanted = self._wanted = replace(self._wanted, min_confidence=confidence)
        first, rest = answered(self._run, self._begun)
        pages = chain([first], rest)
        if any(self._words):  # the best first
            items = recorded.matching(chain.from_iterable(pages), wanted)
        else:
            items = matching(pages, wanted, 0)
        return items, self._threshold(confidence)

    def _begun(self, pipeline: Remembered) -> tuple[list[ResultItem], Iterator[list[ResultItem]]]:
        from imgpipe_cli.pictures.api import Api
        from imgpipe_cli.pictures.finding import FoundPages, Search
        from imgpipe_cli.pictures.listing import PAGE, PatientPages, pages

        api, wanted, (text, name) = Api(pipeline.api_url, pipeline.token), self._wanted, self._words
        source: Pages = PatientPages(api, wanted)
        if text or name:
            labels = (wanted.label,) if wanted.label else ()
            stored = wanted.query["status"]
            search = Search(labels, False, text, name, wanted.min_confidence, stored, wanted.prefix)
            source = self._index = FoundPages(api, search)
        found = pages(source, PAGE)
        return next(found), found

    def _recorded(self, path: Path) -> tuple[Iterator[ResultItem], float | None]:
        from imgpipe_cli.pictures.exporting import recorded
        from imgpipe_cli.session.settings import Settings

        asked = self._run.asked("min_confidence", self._asked)
        confidence = float(Settings.min_confidence if asked is None else asked)
        wanted = replace(self._wanted, min_confidence=confidence)
        return recorded.matching(recorded.read(path, self._others.append), wanted), self._threshold(
            confidence
        )

    def _threshold(self, confidence: float) -> float | None:
        """From which findings are kept; None for all of them."""
        is_asked = self._run.asked("min_confidence", self._asked) is not None
        return confidence if is_asked or not self._whole else None


def _format(name: str) -> Format:
    from imgpipe_cli.pictures.exporting.formats import FORMATS

    if name not in FORMATS:
        raise _usage(f"{name!r} is no format.", f"Choose from {', '.join(FORMATS)}.")
    return FORMATS[name]


def _check_options(
    run: Run, to: str, found: Format, out: Path | None, *, maps: list[str] | None, sidecar: str | None
) -> None:
    """Raise a usage Problem for options that do not go together."""
    if found.kind == "sidecars":
        if out is not None:
            raise _usage("Sidecars lie beside the pictures, not in a file.", "Leave --out out.")
        return
    if maps or sidecar is not None:
        raise _usage(f"--map and --sidecar are for xmp, not for {to}.", "Use --to xmp, or leave them out.")
    if out is None and found.kind == "file":
        raise _usage(f"The format {to} needs a file.", f"Name one: --out results.{to}.")
    if out is None and run.options.json:
        raise _usage("--json reports on an export into a file.", "Name the file with --out.")


def _usage(message: str, hint: str) -> Problem:
    return Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)


def _to_file(found: Format, results: _Results, out: Path) -> None:
    """The old file stays where the new one cannot be finished. Raises Problem."""
    from imgpipe_cli.system import file_io

    if out.is_dir() or file_io.is_special(out):
        raise _usage(f"{out} is no file.", "Name a file, or print the results without --out.")
    try:
        replacing = file_io.replacing if found.kind == "file" else file_io.replacing_text
        with replacing(out, mode=0o666) as target:
            found.write(results, target)
    except OSError as error:
        raise Problem(
            "not_exported",
            f"{out} cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that exists, may be written to, and has room.",
        ) from error


def _beside_pictures(
    run: Run, found: Format, results: _Results, maps: list[str] | tuple[()], tool: str | None
) -> Result:
    from imgpipe_cli.pictures.exporting.places import Folder, Places, Sent
    from imgpipe_cli.pictures.exporting.xmp_sidecars import Sidecars
    from imgpipe_cli.render import exported

    naming = _naming(tool)
    with closing(Sent()) as sent, run.screen.progress.busy("exporting"):
        sidecars: Sidecars = Sidecars(Places([Folder.parse(one) for one in maps], sent), naming)
        written: Written = found.write(results, sidecars)
    results.say()
    left_alone = [
        {"code": "sidecar_left_alone", "message": f"{path}: {why}", "hint": ""}
        for path, why in written.refused
    ]
    errors = [*results.errors, *left_alone]
    data: dict[str, Any] = {"to": "xmp", "results": results.number, **exported.numbers(written)}
    return Result(
        data=data,
        errors=errors,
        exit_code=ExitCode.FAILED if errors else ExitCode.DONE,
        show=lambda screen: exported.show(screen, written),
    )


def _naming(tool: str | None) -> Naming | None:
    from imgpipe_cli.pictures.exporting.xmp_sidecars import NAMINGS

    if tool is not None and tool not in NAMINGS:
        raise _usage(f"{tool!r} is no photo tool that imgpipe knows.", f"Choose from {', '.join(NAMINGS)}.")
    return None if tool is None else NAMINGS[tool]
