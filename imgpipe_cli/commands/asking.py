"""Asking the pipeline's API for results: at once, or as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.errors import Problem

if TYPE_CHECKING:
    from imgpipe_cli.session.target import Remembered
    from shared.result_item import ResultItem

Answer = TypeVar("Answer")


def answered(run: Run, ask: Callable[[Remembered], Answer], *, token: bool = True) -> Answer:
    """The API's answer; if it does not answer as remembered, look up where it is now and ask again.

    token: False for what is answered without it too.
    """
    from imgpipe_cli.pictures.api import ApiUnavailable

    for again in (False, True):
        pipeline = run.pipeline(token=token)
        try:
            return ask(pipeline)
        except (ApiUnavailable, Problem) as error:
            if isinstance(error, Problem) and error.code != "unauthorized":
                raise
            if again or not run.look_up_again(token=token):
                raise _unavailable(pipeline, error) from error
    raise AssertionError("unreachable")


def _unavailable(pipeline: Remembered, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    return Problem(
        "api_unavailable",
        f"The API at {pipeline.api_url} does not answer as expected: {error}.",
        hint="See imgpipe status; imgpipe up repairs what is missing.",
    )


def shown_from(run: Run, asked: float | None, pipeline: Remembered) -> float:
    """The confidence from which tables show something: asked for, in imgpipe.toml, or the pipeline's."""
    value = run.asked("min_confidence", asked)
    return float(pipeline.min_confidence if value is None else value)


def wait_for(
    run: Run,
    pipeline: Remembered,
    versions: Mapping[str, str | None],
    timeout: float,
    show: Callable[[ResultItem], None],
) -> tuple[list[ResultItem], list[str]]:
    """Show results as they arrive; all of them, and the keys still pending at the end.

    timeout: seconds without a result.
    """
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.pictures.waiting import Waiter

    results: list[ResultItem] = []

    def arrived(item: ResultItem) -> None:
        results.append(item)
        show(item)
        run.screen.progress.waiting(len(versions) - len(results))

    run.screen.progress.waiting(len(versions))
    waiter = Waiter(Api(pipeline.api_url, pipeline.token), on_silence=run.refuse_trouble)
    waiter.expect_all(versions)
    pending = waiter.wait(arrived, timeout_s=timeout)
    run.screen.progress.waiting(0)
    note_pending(run, pending)
    return results, pending


def note_pending(run: Run, keys: Sequence[str]) -> None:
    """Name the first of the pictures that are still without a result, if there are any."""
    if keys:
        run.note("some_pending", ", ".join(keys[:5]) + (" ..." if len(keys) > 5 else ""))
