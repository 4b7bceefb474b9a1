"""`imgpipe upload`: send pictures, and with --wait show each verdict."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.options import finite
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.events import Event, PassedOver, Refused, Sent
    from imgpipe_cli.session.target import Connection, Remembered
    from shared.result_item import ResultItem

TIMEOUT_S = 180.0
_PART_BYTES = 1 << 16


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
        from imgpipe_cli.events import PassedOver, Refused
        from imgpipe_cli.pictures import upload
        from imgpipe_cli.pictures.sources import few

        refused: list[Refused] = []
        skipped: list[PassedOver] = []

        def emit(event: Event) -> None:
            if isinstance(event, Refused):
                refused.append(event)
            elif isinstance(event, PassedOver):
                skipped.append(event)
            run.emit(event)

        # A program started without standard input has None there. Not by lines: one may never end.
        stdin = iter(partial(sys.stdin.buffer.read, _PART_BYTES), b"") if sys.stdin else ()
        sources, missing = upload.plan(paths, prefix=prefix, key=key, stdin=stdin, emit=emit)
        connection = run.connect()
        pipeline = run.pipeline() if wait else None
        for event in missing:
            emit(event)
        run.screen.transfers(len(sources))
        sent = upload.send(connection.aws, connection.names, sources, emit)
        run.screen.close()
        run.seen(one.key for one in reversed(sent))
        if skipped:
            run.note("passed_over", few([one.source for one in skipped]))
        if run.options.json and not wait:
            return _sent_result(sent, refused, skipped)
        answers = _Answers()
        if pipeline is not None:
            shown = shown_from(run, min_confidence, pipeline)
            answers = _wait(run, connection, pipeline, sent, timeout, shown)
        return Result(
            exit_code=_exit_code(refused, answers),
            data=None,
            streamed=run.options.json,
            show=lambda screen: screen.line(_summary(sent, refused, skipped, answers, wait=wait)),
        )


@dataclass(frozen=True)
class _Answers:
    """What came of the pictures sent: verdicts, keys still without one, and keys that will not get one, since
    another picture or nothing is there now."""

    verdicts: Sequence[ResultItem] = ()
    pending: Sequence[str] = ()
    replaced: Sequence[str] = ()


def _wait(
    run: Run, connection: Connection, pipeline: Remembered, sent: list[Sent], timeout: float, shown: float
) -> _Answers:
    from imgpipe_cli.pictures.upload import is_current

    versions = {one.key: one.version_id for one in sent}
    replaced: list[str] = []

    def show(item: ResultItem) -> None:
        if run.options.json:
            run.stream(item)
        else:
            run.screen.verdict(item, shown)

    def is_over(key: str) -> bool:
        if is_current(connection.aws, connection.names, key, versions[key]):
            return False
        replaced.append(key)
        return True

    verdicts, pending = wait_for(run, pipeline, versions, timeout, show, is_over=is_over)
    if replaced:
        run.note("replaced_meanwhile", ", ".join(replaced))
    return _Answers(verdicts, pending, replaced)


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
    is_over: Callable[[str], bool] = lambda _key: False,
) -> tuple[list[ResultItem], list[str]]:
    """Show verdicts as they arrive; all of them, and the keys still pending when time is up.

    is_over: whether no verdict will come for a key any more.
    """
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.pictures.waiting import Waiter

    verdicts: list[ResultItem] = []

    def arrived(item: ResultItem) -> None:
        verdicts.append(item)
        show(item)
        run.screen.waiting(len(versions) - len(verdicts))

    run.screen.waiting(len(versions))
    waiter = Waiter(Api(pipeline.api_url, pipeline.token), on_silence=run.refuse_trouble)
    pending = waiter.wait(versions, arrived, timeout_s=timeout, is_over=is_over)
    run.screen.waiting(0)
    if pending:
        run.note("some_pending", ", ".join(pending[:5]) + (" ..." if len(pending) > 5 else ""))
    return verdicts, pending


def _exit_code(refused: list[Refused], answers: _Answers) -> ExitCode:
    if refused or answers.replaced or any(item["status"] == "failed" for item in answers.verdicts):
        return ExitCode.FAILED
    return ExitCode.PENDING if answers.pending else ExitCode.DONE


def _sent_result(sent: list[Sent], refused: list[Refused], skipped: list[PassedOver]) -> Result:
    data = [
        {"key": one.key, "source": one.source, "versionId": one.version_id, "replaced": one.replaced}
        for one in sent
    ]
    errors = [
        {"code": one.code, "message": f"{one.source}: {one.message}", "hint": one.hint} for one in refused
    ]
    reasons = Counter(one.reason for one in skipped)
    more = {"skipped": dict(sorted(reasons.items()))} if reasons else {}
    return Result(data=data, errors=errors, more=more, exit_code=_exit_code(refused, _Answers()))


def _summary(
    sent: list[Sent], refused: list[Refused], skipped: list[PassedOver], answers: _Answers, *, wait: bool
) -> str:
    failed = sum(item["status"] == "failed" for item in answers.verdicts)
    parts = [f"{len(sent)} sent"]
    if wait:
        parts += [f"{len(answers.verdicts) - failed} analyzed"]
    others = {
        "failed": failed,
        "replaced": len(answers.replaced),
        "pending": len(answers.pending),
        "refused": len(refused),
        "skipped": len(skipped),
    }
    parts += [f"{number} {word}" for word, number in others.items() if number]
    return ", ".join(parts) + "."
