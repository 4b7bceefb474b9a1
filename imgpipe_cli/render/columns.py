"""Tables that fit their terminal: no word is cut and no key, columns go or rows are stacked instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

# A column of sentences is readable from this on.
SENTENCE = 16
_GAP = 3
_EDGES = 2


@dataclass(frozen=True)
class Column:
    """whole: its cells stay in one line. least: it is not narrower, unless all of it is. alone: its head once
    the column before it has gone. spare: it may go where there is little room, the highest first."""

    head: str = ""
    whole: bool = False
    least: int = 0
    spare: int = 0
    alone: str = ""
    right: bool = False


class Columns:
    """Rows of texts under heads, drawn as wide as the console lets it.

    title: which column heads a row where rows are stacked. headless: without a line of heads.
    """

    def __init__(self, *columns: Column, title: int = 0, headless: bool = False) -> None:
        self._columns = columns
        self._title = title
        self._headless = headless
        self._rows: list[Sequence[Text]] = []

    def add_row(self, *cells: Text) -> None:
        self._rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        kept = list(range(len(self._columns)))
        while self._least(kept) > options.max_width:
            spare = max(kept, key=lambda number: self._columns[number].spare)
            if not self._columns[spare].spare:
                yield from self._stacked()
                return
            kept.remove(spare)
        yield self._table(kept, options.max_width)

    def _least(self, kept: Sequence[int]) -> int:
        gap, edges = (_GAP - 1, 0) if self._headless else (_GAP, _EDGES)
        return sum(self._needs(number, kept) for number in kept) + gap * (len(kept) - 1) + edges

    def _head(self, number: int, kept: Sequence[int]) -> str:
        column = self._columns[number]
        return column.head if number == 0 or number - 1 in kept else column.head or column.alone

    def _needs(self, number: int, kept: Sequence[int]) -> int:
        """The columns of the terminal without which a word of it would be cut."""
        wanted = self._wants(number, kept)
        if self._columns[number].whole:
            return wanted
        words = [word.cell_len for row in self._rows for word in _words(row[number])]
        return max([len(self._head(number, kept)), min(wanted, self._columns[number].least), *words])

    def _wants(self, number: int, kept: Sequence[int]) -> int:
        lines = [line.cell_len for row in self._rows for line in row[number].split("\n", allow_blank=True)]
        return max([len(self._head(number, kept)), *lines])

    def _table(self, kept: Sequence[int], width: int) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
        if self._headless:
            table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for number, room in zip(kept, self._widths(kept, width), strict=True):
            column = self._columns[number]
            table.add_column(
                self._head(number, kept),
                width=room,
                no_wrap=column.whole,
                overflow="fold",
                justify="right" if column.right else "left",
            )
        for row in self._rows:
            table.add_row(*(row[number] for number in kept))
        return table

    def _widths(self, kept: Sequence[int], width: int) -> list[int]:
        """What each needs, and its part of what is left."""
        widths = {number: self._needs(number, kept) for number in kept}
        wants = {number: self._wants(number, kept) - widths[number] for number in kept}
        left = width - self._least(kept)
        for place, number in enumerate(sorted(kept, key=lambda number: wants[number])):
            more = min(wants[number], left // (len(kept) - place))
            widths[number] += more
            left -= more
        return [widths[number] for number in kept]

    def _stacked(self) -> Iterator[RenderableType]:
        """Each row as a heading and, below it, what the other columns say."""
        for row in self._rows:
            heading = row[self._title].copy()
            heading.no_wrap, heading.overflow = True, "ignore"
            yield heading
            below = Table.grid(padding=(0, 2))
            for _ in range(3):
                below.add_column(overflow="fold")
            for column, cell in zip(self._columns, row, strict=True):
                if cell is not row[self._title] and not column.spare and cell.plain.strip():
                    below.add_row("", Text(column.head or column.alone, "dim", no_wrap=True), cell)
            yield below


def _words(cell: Text) -> Iterator[Text]:
    for line in cell.split("\n"):
        yield from line.split(" ")
