"""`imgpipe upload`: send pictures, and with --wait show each verdict."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict, deque
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
    from imgpipe_cli.events import Event, Refused, Sent, Unchanged
    from imgpipe_cli.session.target import Connection, Remembered
    from shared.result_item import ResultItem

_PART_BYTES = 1 << 16
# So many keys are kept for the shell's completion, and so many of several are named.
_COMPLETED = 200
_NAMED = 3


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
        include: Annotated[
            list[str] | None,
            typer.Option(
                "--include", metavar="PATTERN", help="Of a folder, only files that match; repeatable."
            ),
        ] = None,
        exclude: Annotated[
            list[str] | None,
            typer.Option(
                "--exclude",
                metavar="PATTERN",
                help="Of a folder, no files or folders that match; repeatable.",
            ),
        ] = None,
        force: Annotated[
            bool, typer.Option("--force", help="Send unchanged pictures too, each as a new version.")
        ] = False,
        wait: Annotated[bool, typer.Option("--wait", help="Wait for each result and show it.")] = False,
        timeout: TimeoutOption = TIMEOUT_S,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Send pictures (JPEG or PNG) into the pipeline; what is there unchanged is skipped."""
        from imgpipe_cli.pictures.patterns import Patterns
        from imgpipe_cli.pictures.sending.plan import Plan
        from imgpipe_cli.pictures.sending.send import send
        from imgpipe_cli.pictures.sending.total import Total

        # A program started without standard input has None there. Not by lines: one may never end.
        stdin = iter(partial(sys.stdin.buffer.read, _PART_BYTES), b"") if sys.stdin else ()
        patterns = Patterns(tuple(include or ()), tuple(exclude or ()))
        plan = Plan(paths, prefix=prefix, key=key, stdin=stdin, patterns=patterns)
        connection = run.connect()
        pipeline = run.pipeline() if wait else None
        told = _Told(run, keep_all=run.options.json and not wait, versions={} if wait else None)
        run.screen.progress.transfers(Total(plan))
        try:
            send(connection.aws, connection.names, plan, told.take, force=force)
        finally:
            run.screen.close()
            run.seen(reversed(told.latest))
        told.say()
        if run.options.json and not wait:
            return _sent_result(told)
        answers = _Answers()
        if pipeline is not None and told.versions is not None:
            shown = shown_from(run, min_confidence, pipeline)
            answers = _wait(run, connection, pipeline, told.versions, timeout, shown)
        return Result(
            exit_code=_exit_code(told, answers),
            data=None,
            streamed=run.options.json,
            show=lambda screen: screen.line(_summary(told, answers, wait=wait)),
        )


class _Told:
    """What sending told: in numbers, and only where it is asked for one by one."""

    def __init__(self, run: Run, *, keep_all: bool, versions: dict[str, str | None] | None) -> None:
        """keep_all: sent and refused ones. versions: gets each key that is in the bucket now, with its
        version."""
        self.sent: list[Sent] = []
        self.refused: list[Refused] = []
        self.versions = versions
        self.latest: deque[str] = deque(maxlen=_COMPLETED)
        self.numbers: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._named: defaultdict[str, list[str]] = defaultdict(list)
        self._keep_all = keep_all
        self._run = run

    def take(self, event: Event) -> None:
        from imgpipe_cli.events import PassedOver, Refused, Sent, Unchanged

        match event:
            case Sent():
                self.numbers["sent"] += 1
                self.sent += [event] if self._keep_all else []
                self._is_there(event)
                if event.replaced:
                    self._name("new_versions", event.key)
            case Unchanged():
                self.numbers["unchanged"] += 1
                self._is_there(event)
            case Refused():
                self.numbers["refused"] += 1
                self.refused += [event] if self._keep_all else []
            case PassedOver():
                self.skipped[event.reason] += 1
                self._name("links_left_out" if event.reason == "link" else "passed_over", event.source)
        self._run.emit(event)

    def say(self) -> None:
        """Name the first of those that were not meant, or replaced something."""
        from imgpipe_cli.pictures.sources import few

        for code, names in self._named.items():
            self._run.note(code, few(names, self.numbers[code]))

    def _is_there(self, event: Sent | Unchanged) -> None:
        self.latest.append(event.key)
        if self.versions is not None:
            self.versions[event.key] = event.version_id

    def _name(self, code: str, name: str) -> None:
        self.numbers[code] += 1
        if len(self._named[code]) < _NAMED:
            self._named[code].append(name)


@dataclass(frozen=True)
class _Answers:
    """What came of the pictures sent: verdicts, keys still without one, and keys that will not get one, since
    another picture or nothing is there now."""

    verdicts: Sequence[ResultItem] = ()
    pending: Sequence[str] = ()
    replaced: Sequence[str] = ()


def _wait(
    run: Run,
    connection: Connection,
    pipeline: Remembered,
    versions: dict[str, str | None],
    timeout: float,
    shown: float,
) -> _Answers:
    from imgpipe_cli.pictures.stored_picture import is_current
    from imgpipe_cli.render import verdicts

    replaced: list[str] = []

    def show(item: ResultItem) -> None:
        if run.options.json:
            run.stream(item)
        else:
            run.screen.show(verdicts.verdict(item, shown))

    def is_over(key: str) -> bool:
        if is_current(connection.aws, connection.names.bucket, key, versions[key]):
            return False
        replaced.append(key)
        return True

    arrived, pending = wait_for(run, pipeline, versions, timeout, show, is_over=is_over)
    if replaced:
        run.note("replaced_meanwhile", ", ".join(replaced))
    return _Answers(arrived, pending, replaced)


def _exit_code(told: _Told, answers: _Answers) -> ExitCode:
    failed = any(item["status"] == "failed" for item in answers.verdicts)
    if told.numbers["refused"] or answers.replaced or failed:
        return ExitCode.FAILED
    return ExitCode.PENDING if answers.pending else ExitCode.DONE


def _sent_result(told: _Told) -> Result:
    data = [
        {"key": one.key, "source": one.source, "versionId": one.version_id, "replaced": one.replaced}
        for one in told.sent
    ]
    errors = [
        {"code": one.code, "message": f"{one.source}: {one.message}", "hint": one.hint}
        for one in told.refused
    ]
    reasons = dict(told.skipped)
    if unchanged := told.numbers["unchanged"]:
        reasons["unchanged"] = unchanged
    more = {"skipped": dict(sorted(reasons.items()))} if reasons else {}
    return Result(data=data, errors=errors, more=more, exit_code=_exit_code(told, _Answers()))


def _summary(told: _Told, answers: _Answers, *, wait: bool) -> str:
    failed = sum(item["status"] == "failed" for item in answers.verdicts)
    parts = [f"{told.numbers['sent']:,} sent"]
    if wait:
        parts += [f"{len(answers.verdicts) - failed:,} analyzed"]
    others = {
        "unchanged": told.numbers["unchanged"],
        "failed": failed,
        "replaced": len(answers.replaced),
        "pending": len(answers.pending),
        "refused": told.numbers["refused"],
        "skipped": told.skipped.total(),
    }
    parts += [f"{number:,} {word}" for word, number in others.items() if number]
    return ", ".join(parts) + "."
