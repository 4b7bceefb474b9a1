"""Reserved concurrency: how many runs of a function there are at once, at most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgpipe_cli.aws import Aws, AwsError
from imgpipe_cli.events import Emit, Note
from imgpipe_cli.steps.base import Call, Change, Passing, Refused


@dataclass(frozen=True)
class _Reserve(Call):
    """AWS refuses it where too little of the account's concurrency would be left for all other functions, as
    in many new accounts, which have ten. The pipeline works without."""

    def run(self, aws: Aws, emit: Emit) -> None:
        try:
            self.send(aws)
        except AwsError as error:
            if error.code != "InvalidParameterValueException" or "ConcurrentExecution" not in error.message:
                raise
            emit(Note("not_capped", str(self.params["ReservedConcurrentExecutions"])))
            raise Refused({"capped": False}) from error


_NOT_VISIBLE = Passing("ResourceNotFoundException", "", "the new function is not visible everywhere yet", 60)


def capping(
    function: str, reserved: int | None, cap: int | None, busy: tuple[Passing, ...]
) -> Iterator[Change]:
    """What gives the function the concurrency that it shall have. reserved: what it has. busy: what Lambda
    answers while it is at work on the function."""
    passing = (*busy, _NOT_VISIBLE)
    if cap is not None and reserved != cap:
        params = {"FunctionName": function, "ReservedConcurrentExecutions": cap}
        call: Call = _Reserve("lambda", "put_function_concurrency", params, passing)
        instead = "" if reserved is None else f" instead of {reserved}"
        yield Change("set", f"reserved concurrency {cap}{instead} of function {function}", call)
    elif cap is None and reserved == 0:  # the console's "Throttle"; any other number is somebody's choice
        call = Call("lambda", "delete_function_concurrency", {"FunctionName": function}, passing)
        yield Change("remove", f"reserved concurrency 0 of function {function}", call)
