"""The options that several commands share."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from imgpipe_cli.commands import completion


@dataclass(frozen=True)
class Options:
    """The options of every command; None: not given."""

    project: str | None = None
    profile: str | None = None
    region: str | None = None
    local: bool | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False


_SHARED: Mapping[str, Any] = {
    "project": Annotated[
        str | None,
        typer.Option(
            "--project",
            envvar="IMGPIPE_PROJECT",
            metavar="NAME",
            autocompletion=completion.projects,
            help="The pipeline's name (default imgpipe).",
        ),
    ],
    "profile": Annotated[
        str | None,
        typer.Option("--profile", envvar="IMGPIPE_PROFILE", metavar="NAME", help="The AWS profile to use."),
    ],
    "region": Annotated[
        str | None,
        typer.Option("--region", envvar="IMGPIPE_REGION", metavar="NAME", help="The AWS region."),
    ],
    "local": Annotated[
        bool | None,
        typer.Option("--local/--aws", envvar="IMGPIPE_LOCAL", help="The cloud on this machine, or AWS."),
    ],
    "json": Annotated[
        bool,
        typer.Option("--json", envvar="IMGPIPE_JSON", help="Print JSON instead of text."),
    ],
    "verbose": Annotated[
        bool,
        typer.Option("--verbose", envvar="IMGPIPE_VERBOSE", help="Show details, and tracebacks of errors."),
    ],
    "quiet": Annotated[
        bool,
        typer.Option("--quiet", envvar="IMGPIPE_QUIET", help="Show results and errors only."),
    ],
}
NEVER_EMPTY = ("project", "profile", "region")
SHARED_PARAMETERS = [
    inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=annotation,
        default=False if name in ("json", "verbose", "quiet") else None,
    )
    for name, annotation in _SHARED.items()
]


def finite(value: float | None) -> float | None:
    """The number, unless it is none: "nan" is neither below nor above any limit, so it passes all of them."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number.")
    return value


def above_0(value: float | None) -> float | None:
    """The number, unless it is 0 or none."""
    if finite(value) == 0:
        raise typer.BadParameter("0 is too few.")
    return value


# How many resources converge side by side; 1 sends the calls strictly in order.
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, envvar="IMGPIPE_WORKERS", hidden=True)
]

# Seconds that a command waits for a result.
TIMEOUT_S = 180.0


def timeout_option(text: str) -> Any:
    """`--timeout` with its help: each command that waits says for what."""
    return typer.Option(
        "--timeout",
        envvar="IMGPIPE_TIMEOUT",
        min=0,
        # Lambda tries an event for six hours at most.
        max=24 * 3600,
        callback=finite,
        metavar="SECONDS",
        show_default=False,
        help=text,
    )


TimeoutOption = Annotated[float, timeout_option("How long --wait waits (180).")]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        envvar="IMGPIPE_MIN_CONFIDENCE",
        min=0,
        max=100,
        callback=finite,
        metavar="PERCENT",
        help="Show only what is at least this sure (default: the pipeline's own, 70).",
    ),
]
