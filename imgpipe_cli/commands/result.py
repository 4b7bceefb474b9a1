"""`imgpipe result`: the stored results of pictures, by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands import completion
from imgpipe_cli.commands.asking import answered, shown_from, wait_for
from imgpipe_cli.commands.options import TIMEOUT_S, MinConfidenceOption, TimeoutOption
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.pictures.keys import argument, check_key, composed
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.commands.annotation import Annotation
    from imgpipe_cli.pictures.api import Api, ApiUnavailable
    from imgpipe_cli.session.target import Remembered
    from shared.result_item import ResultItem

    Answer = ResultItem | ApiUnavailable | None


def register(app: typer.Typer) -> None:
    @command(app)
    def result(
        run: Run,
        keys: Annotated[
            list[str],
            typer.Argument(
                metavar="KEY...",
                help="The keys of pictures in the bucket.",
                autocompletion=completion.keys,
            ),
        ],
        min_confidence: MinConfidenceOption = None,
        wait: Annotated[bool, typer.Option("--wait", help="Wait for results still to come.")] = False,
        timeout: TimeoutOption = TIMEOUT_S,
        annotate: Annotated[
            str | None,
            typer.Option(
                "--annotate",
                metavar="OUT",
                help="Draw what was found on the picture, into this file or folder.",
            ),
        ] = None,
    ) -> Result:
        """Show what was found in pictures."""
        from imgpipe_cli.pictures.listing import filtered
        from imgpipe_cli.pictures.waiting import is_retrying

        keys = [check_key(key) for key in dict.fromkeys(keys)]
        annotation = _annotation(run, annotate, keys) if annotate is not None else None
        found = _read(run, keys)
        pipeline = run.pipeline(token=False)
        threshold = shown_from(run, min_confidence, pipeline)
        asked_to_filter = run.asked("min_confidence", min_confidence) is not None
        items = [item for item in found.values() if isinstance(item, Mapping)]
        _say_left_out(run, items)
        absent = [key for key, item in found.items() if item is None]
        silent = {key: item for key, item in found.items() if isinstance(item, Exception)}
        errors = [run.trouble(item) or _not_told(key, item) for key, item in silent.items()]
        retrying = {item["objectKey"]: item.get("versionId") for item in items if is_retrying(item)}
        if wait and retrying:
            # Their result is not final: another try is on its way.
            items = [item for item in items if item["objectKey"] not in retrying]
        else:
            retrying = {}
        if absent or retrying:
            from imgpipe_cli.diagnose.explain.missing import why_missing

            explained = why_missing(run.connect(), [*absent, *retrying])
            current = {key: one.version_id for key, one in explained.items() if one.pending} if wait else {}
            # Replaced meanwhile, a picture gets no other result on its old version.
            waiting = retrying | current
            if not pipeline.token:  # then no answer says of which version it is
                waiting = dict.fromkeys(waiting)
            _show_all(run, items, threshold)
            if waiting:
                arrived, _ = wait_for(
                    run, pipeline, waiting, timeout, lambda item: _show_all(run, [item], threshold)
                )
                items += arrived
            there = {item["objectKey"] for item in items}
            errors += [one.problem for key, one in explained.items() if key not in there]
        else:
            _show_all(run, items, threshold)
        if annotation is not None:
            errors += annotation.draw(filtered(item, threshold) for item in items)
        answer = _answer(run, items, errors, threshold if asked_to_filter else None)
        return answer if annotation is None else replace(answer, more={"annotated": annotation.drawn})


def _annotation(run: Run, out: str, keys: list[str]) -> Annotation:
    from imgpipe_cli.commands.annotation import Annotation

    return Annotation(run, out, keys)


def _read(run: Run, keys: list[str]) -> dict[str, Answer]:
    """The results; where the token is wrong and no other to be had, the part of them that is public."""
    from imgpipe_cli.pictures.api import Api

    try:
        return _composed(run, keys, lambda pipeline: Api(pipeline.api_url, pipeline.token))
    except Problem as error:
        if error.code == "api_unavailable" or run.pipeline(token=False).private:
            raise
    return _composed(run, keys, lambda pipeline: Api(pipeline.api_url))


def _composed(run: Run, keys: list[str], api: Callable[[Remembered], Api]) -> dict[str, Answer]:
    """The results, also by names as some systems hand them out; uploads wrote them composed."""

    def ask(pipeline: Remembered) -> dict[str, Answer]:
        return api(pipeline).many(keys, patient=True)

    found = answered(run, ask, token=False)
    others = [composed(key) for key, item in found.items() if item is None and composed(key) != key]
    if not others:
        return found
    found = {key: item for key, item in found.items() if item is not None or composed(key) == key}
    keys = list(dict.fromkeys(others))
    return {**answered(run, ask, token=False), **found}


def _not_told(key: str, error: ApiUnavailable) -> Problem:
    return Problem(
        "not_told",
        f"The API does not give the result of {key}: {error}.",
        hint=f"Run the command again; if it stays so: imgpipe explain {argument(key)}",
    )


def _say_left_out(run: Run, items: list[ResultItem]) -> None:
    from imgpipe_cli.pictures.api import left_out

    if names := dict.fromkeys(name for item in items for name in left_out(item)):
        run.note("left_out", ", ".join(names))


def _show_all(run: Run, items: list[ResultItem], threshold: float) -> None:
    """As tables, at once; in JSON they are part of the one document at the end."""
    from imgpipe_cli.render import results

    if not run.options.json:
        for item in items:
            run.screen.show(results.tables(item, threshold))


def _answer(run: Run, items: list[ResultItem], errors: list[Problem], threshold: float | None) -> Result:
    from imgpipe_cli.pictures.listing import filtered
    from imgpipe_cli.render.screen import problem_data

    if not run.options.json:
        for error in errors:
            run.screen.problem(run.command, error)
    run.seen(item["objectKey"] for item in items)
    failed = [item for item in items if item["status"] == "failed"]
    codes = {error.exit_code for error in errors} | ({ExitCode.FAILED} if failed else set())
    # With several keys, a failure beats one that is only still to come.
    code = next((c for c in (ExitCode.FAILED, ExitCode.PENDING) if c in codes), ExitCode.DONE)
    data = [filtered(item, threshold) if threshold is not None else item for item in items]
    return Result(data=data, exit_code=code, errors=[problem_data(error) for error in errors])
