"""Asking the pipeline's API where it is remembered to be, and once more where it is now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.errors import Problem

if TYPE_CHECKING:
    from imgpipe_cli.session.target import Remembered

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
