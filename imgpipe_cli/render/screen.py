"""The user's terminal: results on stdout, progress and notes on stderr.

Rich is imported only when something is really drawn with it: a terminal's progress, or a table.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from imgpipe_cli.errors import ExitCode, Problem, Unwritable
from imgpipe_cli.render.text import count, detail, fitted, is_shown, lines, note, safe, short

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from imgpipe_cli.deploy.destroy import Removal
    from imgpipe_cli.deploy.plan import ResourceState
    from imgpipe_cli.deploy.resource import Step
    from imgpipe_cli.events import Downloaded, Event, Sent, Transferred
    from imgpipe_cli.render.board import Board
    from imgpipe_cli.result import Result
    from imgpipe_cli.session.settings import Settings
    from imgpipe_cli.session.target import Remembered, Target
    from shared.result_item import ResultItem

ENVELOPE_VERSION = 1
# Wide enough for the tables where there is no terminal to ask.
_PLAIN_WIDTH = 100
# Fewer columns hold no table.
_LEAST_WIDTH = 40


class Screen:
    """One command's output. Thread-safe for events."""

    def __init__(
        self, *, json: bool = False, verbose: bool = False, quiet: bool = False, stream: bool = False
    ) -> None:
        """quiet: results and errors only. stream: JSON documents stand in a line each, errors too."""
        self.json = json
        self.stream = stream
        self.verbose = verbose
        self.quiet = quiet
        self._lock = threading.RLock()
        self._board: Board | None = None
        self._live: Any = None
        self._transfers: Any = None
        self._download: Any = None
        self._status: Any = None
        self._target_told = False

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None and not isinstance(error, Exception) and self.interactive:
            # Interrupted, perhaps between the cursor's going and our knowing what has hidden it.
            tell("\x1b[?25h", end="")

    def close(self) -> None:
        """End what is drawn live; what was drawn stays."""
        with self._lock:
            live, self._live = self._live, None
            transfers, self._transfers = self._transfers, None
            status, self._status = self._status, None
            download, self._download = self._download, None
        for view in (live, transfers, status, download):
            if view is not None:
                view.stop()

    # --- where things go -----------------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """True if progress may move on stderr."""
        return _obeys(sys.stderr)

    @property
    def _moves(self) -> bool:
        """True if progress moves."""
        return self.interactive and not (self.json or self.quiet)

    def out(self) -> Console:
        return console(sys.stdout)

    def err(self) -> Console:
        return console(sys.stderr)

    def note(self, text: str) -> None:
        """Text on stderr, above whatever moves there."""
        self._note(lines(text))

    def aside(self, text: str) -> None:
        """A note that --quiet leaves out."""
        if not self.quiet:
            self.note(text)

    def _note(self, text: str) -> None:
        with self._lock:
            view = next((view for view in (self._live, self._transfers) if view is not None), None)
            if view is not None:
                view.console.print(_fitting(text, sys.stderr), markup=False, highlight=False, soft_wrap=True)
            else:
                tell(text)

    def line(self, text: str, *, exact: bool = False) -> None:
        """Text on stdout. exact: it is to be copied, so a terminal gets it without line breaks of ours."""
        shown = lines(text)
        with _to_stdout():
            print(shown if exact else _fitting(shown, sys.stdout), flush=True)

    def show(self, renderable: RenderableType) -> None:
        """A table or text on stdout; what moves on stderr stands aside meanwhile."""
        with self._lock:
            if self._status is not None:
                self._status.stop()
            with _to_stdout():
                self.out().print(renderable, crop=False)  # a key may be longer than a line
            if self._status is not None:
                self._status.start()

    def json_line(self, document: Any) -> None:
        with self._lock, _to_stdout():
            print(json_text(document), flush=True)

    def target(self, target: Target, account: str, region: str, endpoint: str | None) -> None:
        """The one dim line that says where the command goes."""
        if self._target_told or self.quiet:
            return
        self._target_told = True
        place = f"local cloud {endpoint}" if target.local else f"AWS {account}"
        if endpoint and not target.local:
            place = f"{endpoint} (account {account})"
        profile = f" · profile {target.profile}" if target.profile else ""
        text = _fitting(safe(f"project {target.project} · {place} · {region}{profile}"), sys.stderr)
        dim = _colored(sys.stderr)
        self._note(f"\x1b[2m{text}\x1b[0m" if dim and self._live is None else text)

    # --- progress ------------------------------------------------------------------------------

    def steps(self, steps: Sequence[Step]) -> None:
        """From now on show where each of these steps stands."""
        from imgpipe_cli.render.board import Board

        self._board = Board(steps)
        if self._moves and not self.verbose:
            from imgpipe_cli.render.live import StepView

            self._live = StepView(self._board)

    def only(self, resources: set[str]) -> None:
        if self._board is not None:
            self._board.only(resources)

    def transfers(self, files: int) -> None:
        """From now on show how far an upload of so many pictures is."""
        if files and self._moves:
            from imgpipe_cli.render.live import TransferView

            self._transfers = TransferView(files)

    def waiting(self, verdicts: int) -> None:
        """From now on show how many verdicts are waited for; 0 ends it."""
        with self._lock:
            if not self._moves:
                return
            if self._status is None and verdicts:
                self._status = self.err().status("")
                self._status.start()
            if self._status is not None:
                self._status.update(f"waiting for {count(verdicts, 'verdict')}")
        if not verdicts:
            self.close()

    @contextlib.contextmanager
    def busy(self, code: str) -> Iterator[None]:
        """While this lasts, say so: a spinner on a terminal, else a line."""
        from imgpipe_cli.events import Note

        if not self._moves:
            self.event(Note(code))
            yield
            return
        self._status = self.err().status(note(code, ""))
        self._status.start()
        try:
            yield
        finally:
            self.close()

    def event(self, event: Event) -> None:
        """Take any event; what is not shown here is simply not shown."""
        from imgpipe_cli.events import Downloaded, Note, PassedOver, Refused, Sent, Transferred

        match event:
            case Note(code=code, detail=detail):
                if not self.quiet:
                    self.note(note(code, detail))
            case Refused(source=source, message=message, hint=hint):
                if self._transfers is not None:
                    self._transfers.refused()
                self.note(f"refused {safe(source)}: {safe(message)} {safe(hint)}".rstrip())
            case PassedOver():
                if self._transfers is not None:
                    self._transfers.refused()
            case Sent() | Transferred():
                self._transferred(event)
            case Downloaded():
                self._downloaded(event)
            case _:
                self._progress(event)

    def _transferred(self, event: Sent | Transferred) -> None:
        from imgpipe_cli.events import Sent

        if self._transfers is not None:
            self._transfers.event(event)
        elif isinstance(event, Sent) and not (self.json or self.quiet):
            again = " (a new version of it)" if event.replaced else ""
            self.note(f"sent {safe(event.source)} as {safe(event.key)}{again}")

    def _downloaded(self, event: Downloaded) -> None:
        if self._download is None and self._moves:
            from imgpipe_cli.render.live import DownloadView

            self._download = DownloadView(event.name, event.total_bytes)
        if self._download is not None:
            self._download.event(event)

    def _progress(self, event: Event) -> None:
        if self._board is None or self.quiet:
            return
        with self._lock:
            self._board.event(event)
            if self.verbose and (words := detail(event)):
                self.note(f"     {words}")
            if self._live is None:
                for row in self._board.news():
                    summary = f": {row.summary}" if row.summary else ""
                    self.note(f"{row.number}  {row.title:<20} {row.state}{summary}")

    # --- results -------------------------------------------------------------------------------

    def result(self, command: str, result: Result) -> None:
        """Print what a command found out."""
        if result.streamed:
            return
        if self.json:
            self._envelope(command, result.exit_code, result.data, result.errors, result.more)
        elif result.show is not None:
            result.show(self)

    def problem(self, command: str, problem: Problem) -> None:
        """Print an expected error: at most three lines, or the same envelope as a success."""
        self.close()
        if self.json:
            self._envelope(command, problem.exit_code, None, [problem_data(problem)])
            return
        text = _fitting(f"Error: {short(safe(problem.message))}", sys.stderr)
        tell(f"\x1b[31m{text}\x1b[0m" if _colored(sys.stderr) else text)
        if problem.hint:
            tell(f"Hint: {short(safe(problem.hint))}")

    def _envelope(
        self,
        command: str,
        exit_code: ExitCode,
        data: Any,
        errors: Sequence[Mapping[str, Any]],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        document = {
            "version": ENVELOPE_VERSION,
            "command": command,
            "status": exit_code.name.lower(),
            "data": data,
            "errors": list(errors),
            **more,
        }
        with _to_stdout():
            print(json_text(document, indent=None if self.stream else 2), flush=True)

    def planned(self, changes: Sequence[tuple[Any, Any, Any]]) -> None:
        from imgpipe_cli.render import reports

        reports.planned(self, changes)

    def outputs(
        self, found: Remembered, settings: Settings, missing: Sequence[tuple[str, str]], changed: bool
    ) -> None:
        from imgpipe_cli.render import reports

        reports.outputs(self, found, settings, missing, changed=changed)

    def outputs_only(self, found: Remembered, settings: Settings) -> None:
        from imgpipe_cli.render import reports

        reports.output_lines(self, found, settings)

    def removals(self, removals: Sequence[Removal], names: Any) -> None:
        from imgpipe_cli.render import reports

        reports.removals(self, removals, names)

    def states(self, steps: Sequence[Step], states: Sequence[ResourceState]) -> None:
        from imgpipe_cli.render import reports

        reports.states(self, steps, states)

    def verdict(self, item: ResultItem, min_confidence: float) -> None:
        from imgpipe_cli.render import verdicts

        with self._lock:
            self.show(verdicts.verdict(item, min_confidence))

    def verdict_line(self, item: ResultItem, min_confidence: float) -> None:
        from imgpipe_cli.render import verdicts

        self.line(verdicts.line(item, min_confidence))

    def ask(self, question: str) -> str | None:
        """What the user types after the question, which goes to stderr; None for Ctrl-D."""
        self.close()
        tell(question, end=" ")
        typed = sys.stdin.readline()
        return typed.strip() if typed else None


def tell(text: str, *, end: str = "\n") -> None:
    """Print on stderr. No work ends because nobody reads, or can store, what is told about it."""
    shown = text if "\x1b" in text else _fitting(text, sys.stderr)
    try:
        print(shown, end=end, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: Any) -> None:
    """Lead what is left of a stream nowhere: the interpreter's last flush must not fail on it again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _to_stdout() -> Iterator[None]:
    """Raise Unwritable where what is printed in between cannot be."""
    try:
        yield
    except OSError as error:
        raise Unwritable(error) from error
    except SystemExit as error:
        # What Rich makes of a reader that has seen enough.
        if isinstance(error.__context__, OSError):
            raise Unwritable(error.__context__) from error
        raise


def json_text(document: Any, *, indent: int | None = None) -> str:
    """As JSON in which everything that a terminal would obey is escaped; read back it is the same."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(char if char == "\n" or is_shown(char) else json.dumps(char)[1:-1] for char in text)


def problem_data(problem: Problem) -> dict[str, Any]:
    return {"code": problem.code, "message": problem.message, "hint": problem.hint}


def _obeys(stream: Any) -> bool:
    """True for a terminal that takes more than text."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def _colored(stream: Any) -> bool:
    return _obeys(stream) and not os.environ.get("NO_COLOR")


def _fitting(text: str, stream: Any) -> str:
    """As a terminal shows it without a word cut; what goes elsewhere has its own lines."""
    return fitted(text, _size(stream)[0]) if stream.isatty() else text


def _size(stream: Any) -> tuple[int, int]:
    """The columns and lines to draw in: what the variables say if they are numbers, else the terminal."""
    import shutil

    if not stream.isatty():
        return _PLAIN_WIDTH, 25
    try:
        there = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        there = os.terminal_size((0, 0))
    columns, lines = shutil.get_terminal_size(there)
    return max(columns or 80, _LEAST_WIDTH), lines or 25


def console(stream: Any) -> Console:
    from rich.console import Console, ConsoleDimensions

    class Fitting(Console):
        """Follows the terminal when it is resized, and takes only numbers from the variables."""

        @property  # type: ignore[misc]
        def size(self) -> ConsoleDimensions:
            return ConsoleDimensions(*_size(stream))

    columns, lines = _size(stream)
    return Fitting(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        width=columns,
        height=lines,
        color_system="auto" if _colored(stream) else None,
    )
