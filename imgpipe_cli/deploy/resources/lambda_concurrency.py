"""Reserved concurrency: how many runs of a function there are at once, at most."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe_cli.deploy.resource import Call, Change, Fallback, TransientError
from imgpipe_cli.deploy.resources.lambda_errors import LAMBDA_BUSY, NOT_VISIBLE
from imgpipe_cli.events import Note


def _refused(cap: int) -> TransientError:
    """What AWS answers where too little of the account's concurrency would be left for all other functions,
    as in many new accounts, which have ten. The pipeline works without."""
    return TransientError(
        "InvalidParameterValueException",
        "ConcurrentExecution",
        "AWS reserves no concurrency",
        limit_s=0,
        fallback=Fallback({"capped": False}, Note("not_capped", str(cap))),
    )


def capping(function: str, reserved: int | None, cap: int | None) -> Iterator[Change]:
    """What gives the function the concurrency that it shall have. reserved: what it has."""
    transient = (*LAMBDA_BUSY, NOT_VISIBLE)
    if cap is not None and reserved != cap:
        params = {"FunctionName": function, "ReservedConcurrentExecutions": cap}
        call = Call("lambda", "put_function_concurrency", params, (*transient, _refused(cap)))
        instead = "" if reserved is None else f" instead of {reserved}"
        yield Change("set", f"reserved concurrency {cap}{instead} of function {function}", call)
    elif cap is None and reserved == 0:  # the console's "Throttle"; any other number is somebody's choice
        call = Call("lambda", "delete_function_concurrency", {"FunctionName": function}, transient)
        yield Change("remove", f"reserved concurrency 0 of function {function}", call)
