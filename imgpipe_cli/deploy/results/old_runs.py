"""Runs of the ingest function that began before its code or its rights changed."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy.steps.ingest_function import TIMEOUT_S
from imgpipe_cli.events import Emit, Waiting

_PAUSE_S = 2.0
_BETWEEN_PASSES_S = 30


def while_they_may_last(aws: Aws, emit: Emit, why: str) -> Iterator[None]:
    """Every half a minute, and once no run of the function can be left that began before now.

    why: what they may still do, as the user reads it. The function's time limit is the longest they can take.
    Not at an endpoint of the user's own: changes are in force there at once, so a late run is refused, and
    tried again.
    """
    if aws.custom_endpoint is not None:
        return
    began = aws.clock()
    for end in range(_BETWEEN_PASSES_S, TIMEOUT_S + 1, _BETWEEN_PASSES_S):
        while (waited := aws.clock() - began) < end:
            emit(Waiting("ingest", "function.ingest", f"{why}, for {TIMEOUT_S} s", waited))
            aws.sleep(_PAUSE_S)
        yield
