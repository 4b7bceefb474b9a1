"""`imgpipe local faults`: Rekognition's real limits and bad days, on this machine."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from imgpipe_cli.commands.runtime import command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result

_OPTIONS = {
    "tps": "--tps",
    "throttle_percent": "--throttle",
    "error_percent": "--errors",
    "latency_ms": "--latency",
    "operations": "--operation",
}


def register(group: typer.Typer) -> None:
    @command(group, "faults")
    def faults(
        tps: Annotated[
            float | None,
            typer.Option(
                "--tps", metavar="N", help="Calls per second that each operation answers, such as 5 or 50."
            ),
        ] = None,
        throttle: Annotated[
            float, typer.Option("--throttle", metavar="PERCENT", help="Throttle this share of the calls.")
        ] = 0.0,
        errors: Annotated[
            float,
            typer.Option("--errors", metavar="PERCENT", help="Fail this share with a server error (500)."),
        ] = 0.0,
        latency: Annotated[
            float, typer.Option("--latency", metavar="MS", help="Answer so many milliseconds later.")
        ] = 0.0,
        operation: Annotated[
            list[str] | None,
            typer.Option(
                "--operation", metavar="NAME", help="Only this operation, such as DetectText; repeatable."
            ),
        ] = None,
        off: Annotated[bool, typer.Option("--off", help="Switch all faults off.")] = False,
    ) -> Result:
        """Make the local Rekognition throttle, fail or be slow; without options: show what is on.

        The given faults replace those of before. Faults end with the local cloud.
        """
        from imgpipe_cli.local.process import control
        from imgpipe_cli.local.rekognition.faults import Faults
        from imgpipe_cli.render import faults as report

        try:
            wanted = Faults(tps, throttle, errors, latency, tuple(operation or ()))
        except ValueError as error:
            raise _bad_usage(f"{_as_typed(str(error))}.") from error
        if wanted != Faults() and (off or not wanted.active):
            raise _bad_usage("--off stands alone." if off else "--operation needs a fault, such as --tps 5.")
        told = control.turn_faults(wanted) if off or wanted.active else _as_they_are()
        return Result(told, lambda screen: report.show(screen, told["faults"], told["calls"]))


def _as_typed(message: str) -> str:
    """With the options in place of the fields that they fill."""
    for field, option in _OPTIONS.items():
        message = re.sub(rf"^{field}\b", option, message)
    return message


def _as_they_are() -> dict[str, Any]:
    from imgpipe_cli.local.process import control

    found = control.status()
    if found.cloud is None:
        raise control.not_running()
    return {"faults": found.faults, "calls": found.calls}


def _bad_usage(message: str) -> Problem:
    return Problem(
        "bad_usage",
        message[:1].upper() + message[1:],
        hint="For example: imgpipe local faults --tps 5, or --off.",
        exit_code=ExitCode.USAGE,
    )
