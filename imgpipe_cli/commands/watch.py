"""`imgpipe watch`: verdicts as they arrive; with a folder also sends what is put there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands.base import Result, Run, command
from imgpipe_cli.commands.upload import MinConfidenceOption, shown_from
from imgpipe_cli.events import Note
from imgpipe_cli.problems import ExitCode, Problem

if TYPE_CHECKING:
    from imgpipe_cli.folder_watch import FolderWatch
    from imgpipe_cli.target import Connection

_PAUSE_S = 0.5
# Without a connection the next look is later and later.
_LONGEST_PAUSE_S = 15.0


def register(app: typer.Typer) -> None:
    @command(app)
    def watch(
        run: Run,
        folder: Annotated[
            str | None, typer.Argument(metavar="[FOLDER]", help="Send every picture put here.")
        ] = None,
        since: Annotated[
            str | None,
            typer.Option(
                "--since", metavar="TIME", help="Also verdicts since then: 10m, 2h, 1d or 2026-11-22T10:00."
            ),
        ] = None,
        existing: Annotated[
            bool, typer.Option("--existing", help="Also send what is in the folder already.")
        ] = False,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Show verdicts as they arrive, from any uploader, until Ctrl-C."""
        from imgpipe_cli.results import Api, Feed

        root = _root(folder)
        start = _moment(since)
        pipeline = run.pipeline()
        threshold = shown_from(run, min_confidence, pipeline)
        feed = Feed(Api(pipeline.api_url, pipeline.token), since=start)
        sender = _Sender(run, run.connect(), root, existing=existing) if root else None
        run.emit(Note("watching", f"{root} and the pipeline" if root else "the pipeline"))
        broken, pause_s = False, _PAUSE_S
        while True:
            if sender is not None:
                sender.look()
            try:
                for item in feed.new():
                    if run.options.json:
                        run.stream(item)
                    else:
                        run.screen.verdict_line(item, threshold)
                if broken:
                    run.emit(Note("feed_back"))
                broken, pause_s = False, _PAUSE_S
            except Exception as error:
                if not _passes(error):
                    raise
                if not broken:
                    run.emit(Note("feed_interrupted", str(error)))
                broken, pause_s = True, min(pause_s * 2, _LONGEST_PAUSE_S)
            time.sleep(pause_s)


def _passes(error: Exception) -> bool:
    from imgpipe_cli.results import ApiUnavailable

    return isinstance(error, ApiUnavailable)


class _Sender:
    """Sends what is new in a folder; what could not be sent is tried again."""

    def __init__(self, run: Run, connection: Connection, root: Path, *, existing: bool) -> None:
        from imgpipe_cli.folder_watch import FolderWatch

        self._run = run
        self._connection = connection
        self._watch: FolderWatch = FolderWatch(root, now=time.monotonic(), existing=existing)
        self._gone = False
        self._failed = False
        if len(self._watch) and not existing:
            files = len(self._watch)
            run.emit(Note("existing_left", f"{files} file{'s' if files > 1 else ''}"))

    def look(self) -> None:
        from imgpipe_cli import transfer

        try:
            ready = self._watch.complete(time.monotonic())
            self._gone = False
        except OSError as error:
            if not self._gone:
                self._run.emit(Note("folder_gone", error.strerror or str(error)))
            self._gone = True
            return
        for source in ready:
            try:
                aws, names = self._connection.aws, self._connection.names
                transfer.send(aws, names, [source], self._run.emit)
                self._failed = False
            except Problem as error:
                if error.code not in ("unreachable", "throttled", "aws_error"):
                    raise
                if not self._failed:
                    self._run.emit(Note("not_sent_yet", error.message))
                self._failed = True
                self._watch.again(source)


def _root(folder: str | None) -> Path | None:
    if folder is None:
        return None
    if not Path(folder).is_dir():
        raise Problem(
            "bad_usage",
            f"{folder} is not a folder.",
            hint="Name an existing folder, or none to watch the pipeline only.",
            exit_code=ExitCode.USAGE,
        )
    return Path(folder)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _moment(since: str | None) -> str:
    """ "10m" or an ISO time -> ISO 8601 UTC as results have it; now without one."""
    now = datetime.now(UTC)
    try:
        if since is None:
            moment = now
        elif since[-1:] in _UNITS and since[:-1].isdecimal():
            moment = now - timedelta(seconds=int(since[:-1]) * _UNITS[since[-1]])
        else:
            moment = datetime.fromisoformat(since).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem(
            "bad_usage",
            f"{since!r} is not a time.",
            hint="Write 30s, 10m, 2h, 1d, or a date and time such as 2026-11-22T10:00.",
            exit_code=ExitCode.USAGE,
        ) from error
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
