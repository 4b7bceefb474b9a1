"""`imgpipe watch`: results as they arrive; with a folder also sends what is put there."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands import paid_consent
from imgpipe_cli.commands.asking import shown_from
from imgpipe_cli.commands.options import (
    MinConfidenceOption,
    NoConvertOption,
    StripMetadataOption,
    YesOption,
)
from imgpipe_cli.commands.runtime import Run, can_ask, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.session.times import SINCE_HELP, iso, moment

if TYPE_CHECKING:
    from imgpipe_cli.events import Event
    from imgpipe_cli.pictures.feed import Feed
    from imgpipe_cli.pictures.folder_watch import FolderWatch
    from imgpipe_cli.pictures.sending.picture import Rules
    from imgpipe_cli.pictures.sources import Source
    from imgpipe_cli.session.connection import Connection
    from imgpipe_cli.session.settings import Settings
    from imgpipe_cli.session.target import Remembered

_PAUSE_S = 0.5
_IDLE_PAUSE_S = 3.0
# Without a connection the next look is later and later.
_LONGEST_PAUSE_S = 15.0
# A deployment or a restart may answer so for a moment.
_GONE_AFTER = 5
# New pictures that come within so long count together.
_BURST_S = 60.0
# What a picture that is sent again a little later may not meet any more.
_PASSING = ("unreachable", "throttled", "aws_error", "local_disk_full")


def register(app: typer.Typer) -> None:
    @command(app)
    def watch(
        run: Run,
        folder: Annotated[
            str | None, typer.Argument(metavar="[FOLDER]", help="Send every picture put here.")
        ] = None,
        since: Annotated[
            str | None,
            typer.Option("--since", metavar="TIME", help=f"Also results since then: {SINCE_HELP}."),
        ] = None,
        existing: Annotated[
            bool, typer.Option("--existing", help="Also send what is in the folder already.")
        ] = False,
        no_convert: NoConvertOption = False,
        strip_metadata: StripMetadataOption = False,
        yes: YesOption = False,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Show results as they arrive, from any uploader, until Ctrl-C."""
        from imgpipe_cli.pictures.api import Api
        from imgpipe_cli.pictures.feed import Feed
        from imgpipe_cli.pictures.sending.picture import Rules

        root = _root(folder)
        now = datetime.now(UTC)
        start = iso(moment(since, now) if since is not None else now)
        pipeline = run.pipeline()
        threshold = shown_from(run, min_confidence, pipeline)
        teller = _Teller(run, pipeline, Feed(Api(pipeline.api_url, pipeline.token), since=start), threshold)
        sender = None
        if root is not None:
            rules = Rules(convert=not no_convert, strip=strip_metadata)
            sender = _Sender(run, run.connect(), root, rules, existing=existing, yes=yes)
        run.note("watching", f"{root} and the pipeline" if root else "the pipeline")
        while True:
            if sender is not None and sender.look():
                teller.expect()
            teller.look(time.monotonic())
            time.sleep(_PAUSE_S)


class _Teller:
    """Tells of results as they arrive: often while they do, seldom while nothing happens."""

    def __init__(self, run: Run, pipeline: Remembered, feed: Feed, threshold: float) -> None:
        self._run = run
        self._pipeline = pipeline
        self._feed = feed
        self._threshold = threshold
        self._broken = False
        self._gone = 0
        self._pause_s = _PAUSE_S
        self._next = 0.0

    def expect(self) -> None:
        """A result will come soon."""
        self._pause_s = _PAUSE_S
        self._next = 0.0

    def look(self, now: float) -> None:
        """Ask for what is new, if it is time to. Raises Problem."""
        from imgpipe_cli.deploy.pipeline_info import not_set_up
        from imgpipe_cli.pictures.api import ApiUnavailable

        if now < self._next:
            return
        try:
            told = self._tell()
            if self._broken:
                self._run.note("feed_back")
            self._broken, self._gone = False, 0
            # Each look is a billed request: with nothing new, look less and less often.
            self._pause_s = _PAUSE_S if told else min(self._pause_s * 1.2, _IDLE_PAUSE_S)
        except ApiUnavailable as error:
            if error.status in (403, 404):
                self._gone += 1  # the gateway itself says that there is no such API
            if self._gone >= _GONE_AFTER:
                raise not_set_up(self._run.target.project) from error
            if not self._broken:
                self._run.note("feed_interrupted", self._run.why(error))
            self._broken = True
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self._next = now + self._pause_s

    def _tell(self) -> int:
        from imgpipe_cli.render import results

        self._run.refuse_moved(self._pipeline)
        told = 0
        for item in self._feed.new():
            told += 1
            if self._run.options.json:
                self._run.stream(item)
            else:
                self._run.screen.line(results.line(item, self._threshold))
        return told


class _Sender:
    """Sends what is new in a folder; what could not be sent is tried again."""

    def __init__(
        self, run: Run, connection: Connection, root: Path, rules: Rules, *, existing: bool, yes: bool
    ) -> None:
        from imgpipe_cli.pictures.converting.workers import Converter
        from imgpipe_cli.pictures.folder_watch import FolderWatch
        from imgpipe_cli.pictures.sending.plan import with_key
        from imgpipe_cli.pictures.sources import Source, folder

        self._yes = yes
        self._agreed: frozenset[str] = frozenset()
        # When new pictures were sent or left. Others come while some are sent: no time passes here meanwhile.
        self._recent: list[float] = []
        self._now = self._busy_s = 0.0
        # Whether those are agreed to that come while many do.
        self._answer: bool | None = None
        self._settings: Settings | None = None
        self._read_at = -math.inf
        if existing:
            there = [one for one in folder(root) if isinstance(one, Source)]
            paid_consent.confirm(run, connection, list(map(with_key, there)), rules, yes=yes)
            self._agreed = frozenset(one.name for one in there)
        self._run = run
        self._connection = connection
        self._rules = rules
        # Of one process: pictures are sent one after the other.
        self._converter = Converter(workers=1)
        self._is_place_told = False
        self._watch: FolderWatch = FolderWatch(root, now=time.monotonic(), existing=existing)
        self._gone = False
        self._failed = False
        self._taken = False
        self._denied = 0
        if len(self._watch) and not existing:
            files = len(self._watch)
            run.note("existing_left", f"{files} file{'s' if files > 1 else ''}")

    def look(self) -> bool:
        """Send what is ready; True if something was sent. Raises Problem."""
        from imgpipe_cli.events import Refused
        from imgpipe_cli.pictures.sending.plan import with_key

        begun = time.monotonic()
        try:
            ready = self._watch.complete(begun)
            self._gone = False
        except OSError as error:
            if not self._gone:
                self._run.note("folder_gone", error.strerror or str(error))
            self._gone = True
            return False
        self._now = begun - self._busy_s
        try:
            allowed = self._allowed(ready)
        except Problem as error:
            self._later(ready, error)
            allowed = ()
        for source in map(with_key, allowed):
            if isinstance(source, Refused):
                self._run.emit(source)
                continue
            try:
                self._send(source)
                self._failed = False
            except Problem as error:
                self._later([source], error)
        self._busy_s += time.monotonic() - begun
        return bool(ready)

    def _later(self, sources: Sequence[Source], error: Problem) -> None:
        """Try them again at the next look. Raises the Problem where it does not pass by itself."""
        if error.code not in _PASSING:
            raise error
        if not self._failed:
            self._run.note("not_sent_yet", self._run.why(error))
        self._failed = True
        for source in sources:
            self._watch.again(source)

    def _allowed(self, ready: Sequence[Source]) -> Sequence[Source]:
        """All, or none of so many new ones that their price has to be agreed to, and is not. Raises Problem.

        A folder that is copied comes a few pictures at a look: they count together, and are asked about once.
        """
        self._recent = [at for at in self._recent if self._now - at < _BURST_S]
        new = [one for one in ready if one.name not in self._agreed]
        if self._yes or not new:
            return ready
        before = len(self._recent)
        settings = paid_consent.settings_of_many(self._connection, before + len(new), self._read)
        if settings is None:
            self._answer = None
        elif self._answer is None:
            self._answer = self._answered(new, before, settings)
        if self._answer is not False:
            return ready
        self._recent += [self._now] * len(new)
        return [one for one in ready if one.name in self._agreed]

    def _read(self, connection: Connection) -> Settings | None:
        """The pipeline's settings, read once a minute: while many come, there is a look twice a second."""
        from imgpipe_cli.deploy import pipeline_info

        if self._now - self._read_at >= _BURST_S:
            self._settings, self._read_at = pipeline_info.settings(connection), self._now
        return self._settings

    def _answered(self, new: Sequence[Source], before: int, settings: Settings) -> bool | None:
        """Whether sending these, and what follows, is agreed to; None where nothing is asked."""
        from imgpipe_cli.pictures.sending.plan import with_key

        planned = list(map(with_key, new))
        told = paid_consent.cost(self._run, self._connection, planned, self._rules, settings, before=before)
        if not told:
            return None
        if can_ask() and paid_consent.is_agreed(self._run, told):
            return True
        self._run.note("many_left", told)
        return False

    def _send(self, source: Source) -> None:
        """Send one; what S3 does not take is refused, and the others are sent. Raises Problem."""
        from imgpipe_cli.events import Refused
        from imgpipe_cli.pictures.sending.refusals import DENIED_TO_ALL, NoneTaken
        from imgpipe_cli.pictures.sending.send import Outcome, send

        try:
            outcome = send(
                self._connection.aws,
                self._connection.names,
                [source],
                self._emit,
                rules=self._rules,
                converter=self._converter,
            )
        except NoneTaken as error:
            self._denied += 1
            if not self._taken and self._denied >= DENIED_TO_ALL:
                raise
            self._run.emit(Refused(source.name, error.code, error.message, error.hint))
        else:
            self._taken = self._taken or outcome != Outcome()

    def _emit(self, event: Event) -> None:
        """Raises Problem where it was refused for a reason that passes."""
        from imgpipe_cli.events import PassedOver, Refused, Sent

        if isinstance(event, Refused) and event.code in _PASSING:
            raise Problem(event.code, f"{event.source}: {event.message}", hint=event.hint)
        self._run.emit(event)
        if isinstance(event, PassedOver):
            self._run.note("passed_over", event.source)
        if isinstance(event, Sent) and event.source not in self._agreed:
            self._recent.append(self._now)
        if isinstance(event, Sent) and event.tells_place and not self._is_place_told:
            self._is_place_told = True
            self._run.note("places_told", event.source)


def _root(folder: str | None) -> Path | None:
    if folder is None:
        return None
    # Path("") would be the current folder.
    if not folder or not Path(folder).is_dir():
        raise Problem(
            "bad_usage",
            f"{folder or 'An empty name'} is not a folder.",
            hint="Name an existing folder, or none to watch the pipeline only.",
            exit_code=ExitCode.USAGE,
        )
    return Path(folder)
