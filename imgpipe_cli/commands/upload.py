"""`imgpipe upload`: send pictures, and with --wait show each result."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter, defaultdict, deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands import paid_consent
from imgpipe_cli.commands.asking import shown_from
from imgpipe_cli.commands.options import (
    TIMEOUT_S,
    MinConfidenceOption,
    NoConvertOption,
    StripMetadataOption,
    TimeoutOption,
    YesOption,
)
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.commands.arriving import Arrivals
    from imgpipe_cli.events import Event, Refused, Sent, Unchanged
    from imgpipe_cli.pictures.report import Report
    from imgpipe_cli.pictures.sending.total import Total
    from imgpipe_cli.render.screen import Screen

_PART_BYTES = 1 << 16
# So many keys are kept for the shell's completion.
_COMPLETED = 200
# Up to so many pictures have their results as tables.
_TABLES = 10


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
            bool, typer.Option("--force", help="Send, analyze and pay for unchanged pictures too.")
        ] = False,
        no_convert: NoConvertOption = False,
        strip_metadata: StripMetadataOption = False,
        yes: YesOption = False,
        wait: Annotated[bool, typer.Option("--wait", help="Wait for each result and show it.")] = False,
        timeout: TimeoutOption = TIMEOUT_S,
        report: Annotated[
            Path | None,
            typer.Option("--report", metavar="FILE", help="Write a line of JSON for each picture to a file."),
        ] = None,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Send pictures into the pipeline. Unchanged ones are skipped."""
        from imgpipe_cli.commands.arriving import Arrivals
        from imgpipe_cli.pictures.patterns import Patterns
        from imgpipe_cli.pictures.report import Report
        from imgpipe_cli.pictures.sending.picture import Rules
        from imgpipe_cli.pictures.sending.plan import Plan
        from imgpipe_cli.pictures.sending.send import send
        from imgpipe_cli.pictures.sending.total import Total
        from imgpipe_cli.render.upload_summary import Results

        # A program started without standard input has None there. Not by lines: one may never end.
        stdin = iter(partial(sys.stdin.buffer.read, _PART_BYTES), b"") if sys.stdin else ()
        patterns = Patterns(tuple(include or ()), tuple(exclude or ()))
        plan = Plan(paths, prefix=prefix, key=key, stdin=stdin, patterns=patterns)
        connection = run.connect(services=("s3",))
        rules = Rules(convert=not no_convert, strip=strip_metadata)
        paid_consent.confirm(run, connection, plan, rules, yes=yes, force=force)
        pipeline = run.pipeline() if wait else None
        with contextlib.ExitStack() as ends:
            written = ends.enter_context(Report(report, waits=wait)) if report is not None else None
            total = Total(plan)
            arrivals = None
            if pipeline is not None:
                arrivals = Arrivals(
                    run,
                    connection,
                    pipeline,
                    Results(shown_from(run, min_confidence, pipeline)),
                    timeout_s=timeout,
                    are_few=lambda: _are_few(total),
                    report=written,
                )
            told = _Told(run, arrivals, written, keep_all=run.options.json and not wait)
            run.screen.progress.transfers(total)
            try:
                send(connection.aws, connection.names, plan, told.take, force=force, rules=rules)
            finally:
                run.screen.close()
                run.seen(reversed(told.latest))
            told.say()
            if arrivals is not None:
                told.wait(arrivals)
        if run.options.json and not wait:
            return _sent_result(told)
        return Result(
            exit_code=_exit_code(told, arrivals),
            data=None,
            streamed=run.options.json,
            show=lambda screen: _show_summary(screen, told, arrivals, few=_are_few(total)),
        )


def _are_few(total: Total) -> bool:
    return total.is_known and total.files <= _TABLES


class _Told:
    """What sending told: in numbers, and only where it is asked for one by one."""

    def __init__(self, run: Run, arrivals: Arrivals | None, report: Report | None, *, keep_all: bool) -> None:
        """arrivals: waits for each picture that is in the bucket. keep_all: sent and refused ones."""
        self.sent: list[Sent] = []
        self.refused: list[Refused] = []
        self.latest: deque[str] = deque(maxlen=_COMPLETED)
        self.numbers: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.converted: Counter[str] = Counter()
        self._named: defaultdict[str, list[str]] = defaultdict(list)
        self._keep_all = keep_all
        self._run = run
        self._arrivals = arrivals
        self._report = report

    def take(self, event: Event) -> None:
        from imgpipe_cli.events import PassedOver, Refused, Sent, Unchanged

        match event:
            case Sent():
                self.numbers["sent"] += 1
                self.sent += [event] if self._keep_all else []
                self.numbers["tell_places"] += event.tells_place
                self.numbers["made_smaller"] += event.is_smaller
                if event.converted is not None:
                    self.converted[event.converted] += 1
                self._is_there(event, "sent")
                if event.replaced:
                    self._name("new_versions", event.key)
            case Unchanged():
                self.numbers["unchanged"] += 1
                self._is_there(event, "unchanged")
            case Refused():
                self.numbers["refused"] += 1
                self.refused += [event] if self._keep_all else []
                if self._report is not None:
                    self._report.refused(event)
            case PassedOver():
                self.skipped[event.reason] += 1
                self._name("links_left_out" if event.reason == "link" else "passed_over", event.source)
        self._run.emit(event)

    def say(self) -> None:
        """Name the first of those that were not meant, or replaced something; count what was converted."""
        from imgpipe_cli.pictures.sources import few
        from imgpipe_cli.render import text, upload_summary

        if self.converted:
            kinds = upload_summary.by_kind(self.converted, smaller=self.numbers["made_smaller"])
            self._run.note("converted", kinds)
        if places := self.numbers["tell_places"]:
            self._run.note("places_told", text.count(places, "picture"))
        for code, names in self._named.items():
            self._run.note(code, few(names, self.numbers[code]))

    def wait(self, arrivals: Arrivals) -> None:
        """Wait for the results that are still to come. Raises ApiUnavailable, Problem."""
        from imgpipe_cli.events import Stopped

        try:
            arrivals.finish()
        except KeyboardInterrupt:
            self._run.screen.close()
            sent, unchanged = self.numbers["sent"], self.numbers["unchanged"]
            self._run.emit(Stopped(sent, unchanged, 0, (arrivals.came, arrivals.to_come)))
            raise

    def _is_there(self, event: Sent | Unchanged, state: str) -> None:
        self.latest.append(event.key)
        if self._report is not None:
            self._report.there(event, state=state)
        if self._arrivals is not None:
            self._arrivals.expect(event, is_old=state == "unchanged")

    def _name(self, code: str, name: str) -> None:
        from imgpipe_cli.pictures.sources import NAMED

        self.numbers[code] += 1
        if len(self._named[code]) < NAMED:
            self._named[code].append(name)


def _exit_code(told: _Told, arrivals: Arrivals | None) -> ExitCode:
    failed = arrivals is not None and (arrivals.results.failed or arrivals.replaced)
    if told.numbers["refused"] or failed:
        return ExitCode.FAILED
    return ExitCode.PENDING if arrivals is not None and arrivals.pending else ExitCode.DONE


def _sent_result(told: _Told) -> Result:
    data = [
        {
            "key": one.key,
            "source": one.source,
            "versionId": one.version_id,
            "replaced": one.replaced,
            "converted": one.converted,
            "smaller": one.is_smaller,
        }
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
    return Result(data=data, errors=errors, more=more, exit_code=_exit_code(told, None))


def _show_summary(screen: Screen, told: _Told, arrivals: Arrivals | None, *, few: bool) -> None:
    from imgpipe_cli.render import upload_summary

    results = arrivals.results if arrivals is not None else None
    if results is not None and not few and (text := upload_summary.by_label_and_reason(results)):
        screen.line(text)
    others = {
        "unchanged": told.numbers["unchanged"],
        "failed": results.failed if results is not None else 0,
        "replaced": len(arrivals.replaced) if arrivals is not None else 0,
        "pending": len(arrivals.pending) if arrivals is not None else 0,
        "refused": told.numbers["refused"],
        "skipped": told.skipped.total(),
    }
    screen.line(upload_summary.total(told.numbers["sent"], results, others))
