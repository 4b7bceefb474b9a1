"""Progress that moves: the list of steps, and the bar of an upload. Terminals only."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from imgpipe_cli.events import Downloaded
from imgpipe_cli.render.console import console, obeys
from imgpipe_cli.render.text import safe, size, whole_words

if TYPE_CHECKING:
    from imgpipe_cli.render.board import Board
    from imgpipe_cli.render.transfer import Transfer

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES = "|/-\\"
_BEFORE_DETAIL = 5  # a mark, a number, and the gaps
_BAR = 20
_WIDE = 80


def _stderr() -> Console:
    return console(sys.stderr)


class StepView:
    """One line for each step: pending, what it is doing, what it waits for, done, unchanged."""

    def __init__(self, board: Board) -> None:
        self.console = _stderr()
        self._board = board
        self._started = time.monotonic()
        utf8 = "utf" in (self.console.encoding or "").lower()
        self._frames = _FRAMES if utf8 else _ASCII_FRAMES
        self._marks = (
            {"pending": "·", "done": "✓", "unchanged": "=", "left": "!"}
            if utf8
            else {"pending": ".", "done": "+", "unchanged": "=", "left": "!"}
        )
        self._live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=12)
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def _draw(self) -> Group:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(justify="right", width=1)
        titles = max((len(row.title) for row in self._board.rows.values()), default=0)
        grid.add_column(width=titles)
        grid.add_column()
        room = self.console.width - titles - _BEFORE_DETAIL
        frame = self._frames[int((time.monotonic() - self._started) * 10) % len(self._frames)]
        styles = {"pending": "dim", "busy": "cyan", "done": "green", "unchanged": "dim", "left": "yellow"}
        for row in list(self._board.rows.values()):
            style = styles[row.state]
            mark = frame if row.state == "busy" else self._marks[row.state]
            words = row.state if row.state == "unchanged" else row.summary
            if row.state == "pending":
                words = row.detail
            detail = Text(whole_words(words, room), style, no_wrap=True, overflow="ellipsis")
            grid.add_row(Text(mark, style), Text(str(row.number), "dim"), Text(row.title), detail)
        return Group(grid)


class TransferView:
    """A bar over the pictures of one upload, and its words, in one line."""

    def __init__(self, transfer: Transfer) -> None:
        self.console = _stderr()
        self._transfer = transfer
        # On a narrow terminal the numbers need the bar's place.
        bar = _BAR if self.console.width >= _WIDE else 0
        self._room = self.console.width - len("Sending ") - (bar + 1 if bar else 0)
        self._progress = Progress(
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=bar)] if bar else []),
            TextColumn("{task.fields[words]}"),
            console=self.console,
            # Results come meanwhile: above the bar on the same terminal, and where else stdout leads.
            redirect_stdout=obeys(sys.stdout),
        )
        self._task = self._progress.add_task("Sending", total=transfer.total.files, words="")
        self.draw()
        self._progress.start()

    def draw(self) -> None:
        words = whole_words(self._transfer.words, self._room, ", ")
        total = max(self._transfer.total.files, self._transfer.done)
        self._progress.update(self._task, total=total, completed=self._transfer.done, words=words)

    def stop(self) -> None:
        self.draw()
        self._progress.stop()


class DownloadView:
    """A bar over one file."""

    def __init__(self, name: str, total_bytes: int) -> None:
        self._total = size(total_bytes)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}"),
            TimeRemainingColumn(),
            console=_stderr(),
        )
        self._task = self._progress.add_task(safe(name), total=total_bytes, done="")
        self._progress.start()

    def event(self, event: Downloaded) -> None:
        done = f"{size(event.done_bytes)} of {self._total}"
        self._progress.update(self._task, completed=event.done_bytes, done=done)

    def stop(self) -> None:
        self._progress.stop()
