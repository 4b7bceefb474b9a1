"""`imgpipe upload`: send pictures, and with --wait show each verdict."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands.asking import shown_from, wait_for
from imgpipe_cli.commands.options import TIMEOUT_S, MinConfidenceOption, TimeoutOption
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.events import Event, PassedOver, Refused, Sent
    from imgpipe_cli.session.target import Connection, Remembered
    from shared.result_item import ResultItem

_PART_BYTES = 1 << 16


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
        wait: Annotated[bool, typer.Option("--wait", help="Wait for each result and show it.")] = False,
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
        run.screen.progress.transfers(len(sources))
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
    from imgpipe_cli.render import verdicts

    versions = {one.key: one.version_id for one in sent}
    replaced: list[str] = []

    def show(item: ResultItem) -> None:
        if run.options.json:
            run.stream(item)
        else:
            run.screen.show(verdicts.verdict(item, shown))

    def is_over(key: str) -> bool:
        if is_current(connection.aws, connection.names, key, versions[key]):
            return False
        replaced.append(key)
        return True

    arrived, pending = wait_for(run, pipeline, versions, timeout, show, is_over=is_over)
    if replaced:
        run.note("replaced_meanwhile", ", ".join(replaced))
    return _Answers(arrived, pending, replaced)


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
