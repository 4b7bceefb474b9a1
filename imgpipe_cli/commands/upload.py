"""`imgpipe upload`: send pictures, and with --wait show each verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.base import Result, Run, command
from imgpipe_cli.problems import ExitCode

if TYPE_CHECKING:
    from imgpipe_cli.events import Event, Refused, Sent
    from imgpipe_cli.target import Remembered

Item = Mapping[str, Any]
TIMEOUT_S = 180.0

TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", envvar="IMGPIPE_TIMEOUT", min=0, metavar="SECONDS", help="How long --wait waits (180)."
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        envvar="IMGPIPE_MIN_CONFIDENCE",
        min=0,
        max=100,
        metavar="PERCENT",
        help="Show only what is at least this sure (default: the pipeline's own, 70).",
    ),
]


def register(app: typer.Typer) -> None:
    @command(app)
    def upload(
        run: Run,
        paths: Annotated[
            list[str],
            typer.Argument(metavar="PATH...", help="Files, folders, patterns, or - for standard input."),
        ],
        prefix: Annotated[
            str,
            typer.Option("--prefix", envvar="IMGPIPE_PREFIX", metavar="PREFIX", help="Put before every key."),
        ] = "",
        key: Annotated[
            str | None, typer.Option("--key", metavar="KEY", help="The key of the one picture that is sent.")
        ] = None,
        wait: Annotated[bool, typer.Option("--wait", help="Wait for each verdict and show it.")] = False,
        timeout: TimeoutOption = TIMEOUT_S,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Send pictures (JPEG or PNG) into the pipeline."""
        from imgpipe_cli import transfer
        from imgpipe_cli.events import Refused

        # A program started without standard input has None there.
        stdin = sys.stdin.buffer if sys.stdin else ()
        sources, missing = transfer.plan(paths, prefix=prefix, key=key, stdin=stdin)
        connection = run.connect()
        pipeline = run.pipeline() if wait else None
        refused = list(missing)
        for event in missing:
            run.emit(event)

        def emit(event: Event) -> None:
            if isinstance(event, Refused):
                refused.append(event)
            run.emit(event)

        run.screen.transfers(len(sources))
        sent = transfer.send(connection.aws, connection.names, sources, emit)
        run.screen.close()
        if run.options.json and not wait:
            return _sent_result(sent, refused)
        verdicts: list[Item] = []
        pending: list[str] = []
        if pipeline is not None:
            shown = shown_from(run, min_confidence, pipeline)
            versions = {one.key: one.version_id for one in sent}

            def show(item: Item) -> None:
                if run.options.json:
                    run.stream(item)
                else:
                    run.screen.verdict(item, shown)

            verdicts, pending = wait_for(run, pipeline, versions, timeout, show)
        return Result(
            exit_code=_exit_code(refused, verdicts, pending),
            data=None,
            streamed=run.options.json,
            show=lambda screen: screen.line(_summary(sent, refused, verdicts, pending, wait=wait)),
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
    show: Callable[[Item], None],
) -> tuple[list[Item], list[str]]:
    """Show verdicts as they arrive; all of them, and the keys still pending when time is up."""
    from imgpipe_cli.results import Api, Waiter

    verdicts: list[Item] = []

    def arrived(item: Item) -> None:
        verdicts.append(item)
        show(item)
        run.screen.waiting(len(versions) - len(verdicts))

    run.screen.waiting(len(versions))
    pending = Waiter(Api(pipeline.api_url, pipeline.token)).wait(versions, arrived, timeout_s=timeout)
    run.screen.waiting(0)
    if pending:
        run.note("some_pending", ", ".join(pending[:5]) + (" ..." if len(pending) > 5 else ""))
    return verdicts, pending


def _exit_code(refused: list[Refused], verdicts: list[Item], pending: list[str]) -> ExitCode:
    if refused or any(item["status"] == "failed" for item in verdicts):
        return ExitCode.FAILED
    return ExitCode.PENDING if pending else ExitCode.DONE


def _sent_result(sent: list[Sent], refused: list[Refused]) -> Result:
    data = [
        {"key": one.key, "source": one.source, "versionId": one.version_id, "replaced": one.replaced}
        for one in sent
    ]
    errors = [
        {"code": one.code, "message": f"{one.source}: {one.message}", "hint": one.hint} for one in refused
    ]
    return Result(data=data, errors=errors, exit_code=_exit_code(refused, [], []))


def _summary(
    sent: list[Sent], refused: list[Refused], verdicts: list[Item], pending: list[str], *, wait: bool
) -> str:
    failed = sum(item["status"] == "failed" for item in verdicts)
    parts = [f"{len(sent)} sent"]
    if wait:
        parts += [f"{len(verdicts) - failed} analyzed"]
    parts += [
        f"{number} {word}"
        for number, word in ((failed, "failed"), (len(pending), "pending"), (len(refused), "refused"))
        if number
    ]
    return ", ".join(parts) + "."
