"""How far a command is: what moves on a terminal's stderr, and plain lines where nothing can move.

Rich is imported only when something really moves.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from imgpipe_cli.render.console import console, fitting
from imgpipe_cli.render.text import count, detail, note, safe

if TYPE_CHECKING:
    from imgpipe_cli.deploy.resource import Step
    from imgpipe_cli.events import Downloaded, Event, Sent
    from imgpipe_cli.render.board import Board
    from imgpipe_cli.render.transfer import Total, Transfer

# Where nothing can move, a line says how far an upload is, and no more often.
_LINE_EVERY_S = 10.0


class Shows(Protocol):
    """The screen below, as far as progress needs it."""

    json: bool
    quiet: bool
    verbose: bool

    @property
    def lock(self) -> AbstractContextManager[object]: ...

    @property
    def interactive(self) -> bool: ...

    def note(self, text: str) -> None: ...


class Progress:
    """The progress of one command. Thread-safe for events: it shares its screen's lock."""

    def __init__(self, screen: Shows, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._lock = screen.lock
        self._transfer: Transfer | None = None
        self._line_at = 0.0
        self._board: Board | None = None
        self._live: Any = None
        self._transfers: Any = None
        self._download: Any = None
        self._status: Any = None

    def close(self) -> None:
        """End what is drawn live; what was drawn stays."""
        with self._lock:
            live, self._live = self._live, None
            transfers, self._transfers = self._transfers, None
            self._transfer = None
            status, self._status = self._status, None
            download, self._download = self._download, None
        for view in (live, transfers, status, download):
            if view is not None:
                view.stop()

    def above(self, text: str) -> bool:
        """Print above what moves; False where nothing does that text would disturb."""
        view = next((view for view in (self._live, self._transfers) if view is not None), None)
        if view is not None:
            view.console.print(fitting(text, sys.stderr), markup=False, highlight=False, soft_wrap=True)
        return view is not None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A spinner is gone meanwhile."""
        if self._status is not None:
            self._status.stop()
        yield
        if self._status is not None:
            self._status.start()

    def _moves(self) -> bool:
        return self._screen.interactive and not (self._screen.json or self._screen.quiet)

    def steps(self, steps: Sequence[Step]) -> None:
        """From now on show where each of these steps stands."""
        from imgpipe_cli.render.board import Board

        self._board = Board(steps)
        if self._moves() and not self._screen.verbose:
            from imgpipe_cli.render.live import StepView

            self._live = StepView(self._board)

    def only(self, resources: set[str]) -> None:
        if self._board is not None:
            self._board.only(resources)

    def transfers(self, total: Total) -> None:
        """From now on show how far an upload is."""
        from imgpipe_cli.render.transfer import Transfer

        self._transfer = Transfer(total, self._clock)
        self._line_at = self._clock() + _LINE_EVERY_S
        if self._moves() and (total.files or not total.is_known):
            from imgpipe_cli.render.live import TransferView

            self._transfers = TransferView(self._transfer)

    def waiting(self, results: int) -> None:
        """From now on show how many results are waited for; 0 ends it."""
        with self._lock:
            if not self._moves():
                return
            if self._status is None and results:
                self._status = console(sys.stderr).status("")
                self._status.start()
            if self._status is not None:
                self._status.update(f"waiting for {count(results, 'result')}")
        if not results:
            self.close()

    @contextlib.contextmanager
    def busy(self, code: str) -> Iterator[None]:
        """While this lasts, say so: a spinner on a terminal, else a line."""
        from imgpipe_cli.events import Note

        if not self._moves():
            self.event(Note(code))
            yield
            return
        self._status = console(sys.stderr).status(note(code, ""))
        self._status.start()
        try:
            yield
        finally:
            self.close()

    def event(self, event: Event) -> None:
        """Take any event; what is not shown here is simply not shown."""
        from imgpipe_cli.events import Downloaded, Note, Refused, Sent, Stopped

        if self._transfer is not None:
            self._transfer.take(event)
        match event:
            case Note(code=code, detail=detail):
                if not self._screen.quiet:
                    self._screen.note(note(code, detail))
            case Refused(source=source, message=message, hint=hint):
                self._screen.note(f"refused {safe(source)}: {safe(message)} {safe(hint)}".rstrip())
            case Sent():
                self._sent(event)
            case Stopped():
                from imgpipe_cli.render.transfer import stopped

                self._screen.note(stopped(event, self._transfer))
            case Downloaded():
                self._downloaded(event)
            case _:
                self._progress(event)
        self._far()

    def _sent(self, event: Sent) -> None:
        """Each picture has a line only where a few come one after the other, or where it is asked for."""
        if self._screen.json or self._screen.quiet or (self._transfer and not self._screen.verbose):
            return
        again = " (a new version of it)" if event.replaced else ""
        made = f", converted from {event.converted}" if event.converted else ""
        self._screen.note(f"sent {safe(event.source)} as {safe(event.key)}{again}{made}")

    def _far(self) -> None:
        """Show how far an upload is."""
        if self._transfers is not None:
            self._transfers.draw()
        elif self._transfer is None or self._screen.json or self._screen.quiet:
            return
        elif (now := self._clock()) >= self._line_at:
            self._line_at = now + _LINE_EVERY_S
            self._screen.note(f"Sending: {self._transfer.words}")

    def _downloaded(self, event: Downloaded) -> None:
        if self._download is None and self._moves():
            from imgpipe_cli.render.live import DownloadView

            self._download = DownloadView(event.name, event.total_bytes)
        if self._download is not None:
            self._download.event(event)

    def _progress(self, event: Event) -> None:
        if self._board is None or self._screen.quiet:
            return
        with self._lock:
            self._board.event(event)
            if self._screen.verbose and (words := detail(event)):
                self._screen.note(f"     {words}")
            if self._live is None:
                for row in self._board.news():
                    summary = f": {row.summary}" if row.summary else ""
                    self._screen.note(f"{row.number}  {row.title:<20} {row.state}{summary}")
