"""The options that several commands share."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands import completion
from imgpipe_cli.commands.chosen import Options
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.times import SINCE_HELP

if TYPE_CHECKING:
    from imgpipe_cli.commands.invocation import Invocation
    from imgpipe_cli.pictures.listing import Status


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


def read(ctx: typer.Context, command: str) -> Options:
    """The options that count so far, noted in the invocation with what else of the line matters there.

    Those behind the command's name win over those before it, which win over the environment (both parsers
    read it).
    """
    invocation: Invocation = ctx.obj
    values = {p.name: ctx.params[p.name] for p in SHARED_PARAMETERS if p.name in ctx.params}
    before = invocation.options or Options(**values)
    sources = {name: ctx.get_parameter_source(name) for name in values}
    flags = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    given = replace(before, **{name: values[name] for name in flags})
    # To the parsers an empty variable is none; here it is as an empty flag, which is refused.
    empty: dict[str, Any] = {
        name: "" for name in NEVER_EMPTY if getattr(given, name) is None and _variable(name) == ""
    }
    invocation.command, invocation.waits = command, bool(ctx.params.get("wait"))
    invocation.options = options = replace(given, **empty)
    return options


def _variable(name: str) -> str | None:
    return os.environ.get(f"IMGPIPE_{name.upper()}")


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

YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before more than 100 analyses on AWS.")
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


def min_confidence_option(text: str) -> Any:
    """Of a pipeline, or of what is shown of it."""
    return typer.Option(
        "--min-confidence",
        envvar="IMGPIPE_MIN_CONFIDENCE",
        min=0,
        max=100,
        callback=finite,
        metavar="PERCENT",
        help=text,
    )


# Which results: as in the list.
STATUSES: tuple[Status, ...] = ("done", "failed", "retrying")


def status_named(text: str | None) -> Status | None:
    """Raises a usage Problem for what is no status."""
    if text is None:
        return None
    for status in STATUSES:
        if text == status:
            return status
    raise Problem(
        "bad_usage",
        f"{text!r} is not a status.",
        hint=f"Choose from {', '.join(STATUSES)}.",
        exit_code=ExitCode.USAGE,
    )


StatusOption = Annotated[
    str | None,
    typer.Option("--status", metavar="|".join(STATUSES), help="Only results with this status."),
]
LabelOption = Annotated[
    str | None, typer.Option("--label", metavar="NAME", help="Only those that show this.")
]
PrefixOption = Annotated[str, typer.Option("--prefix", metavar="PREFIX", help="Only keys that begin so.")]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help=f"Only those analyzed since then: {SINCE_HELP}."),
]
# As the index is asked.
TextOption = Annotated[
    str, typer.Option("--text", metavar="WORDS", help="Words that are seen in the picture.")
]
NameOption = Annotated[str, typer.Option("--name", metavar="WORDS", help="Words of the picture's key.")]
TimeoutOption = Annotated[float, timeout_option("How long --wait waits for the next result (180).")]
NoConvertOption = Annotated[
    bool,
    typer.Option(
        "--no-convert", help="Refuse what Rekognition does not read, instead of making a JPEG of it."
    ),
]
StripMetadataOption = Annotated[
    bool,
    typer.Option(
        "--strip-metadata", help="Send no GPS, EXIF, XMP or IPTC; pixels and files stay as they are."
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    min_confidence_option("Show only what is at least this sure (default: the pipeline's own, 70)."),
]
