"""Tables that fit their terminal: no word is cut and no key, columns go or rows are stacked instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgpipe_cli.render.styled import Drawn, Labeled, Stack, Text
from imgpipe_cli.render.text import width

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


@dataclass(frozen=True)
class Table:
    """A table whose columns have their widths. right: which columns stand on the right."""

    heads: Sequence[str]
    widths: Sequence[int]
    right: Sequence[bool]
    rows: Sequence[Sequence[Text]]
    headless: bool

    def lines(self, _columns: int) -> Iterator[Text]:
        if not self.headless:
            yield Text()
            yield from self._row([Text(head, "dim") for head in self.heads])
            yield Text(" " + "─" * (sum(self.widths) + _GAP * (len(self.widths) - 1)))
        for row in self.rows:
            yield from self._row(row)
        if not self.headless:
            yield Text()

    def _row(self, cells: Sequence[Text]) -> Iterator[Text]:
        """The lines of one row: of each cell its next one, or blanks."""
        gap, edge = ("  ", "") if self.headless else (" " * _GAP, " ")
        wrapped = [list(cell.lines(room)) for cell, room in zip(cells, self.widths, strict=True)]
        for number in range(max(map(len, wrapped))):
            line = Text(edge)
            for place, room in enumerate(self.widths):
                piece = wrapped[place][number] if number < len(wrapped[place]) else Text()
                padded = piece.padded(room, right=self.right[place])
                line += padded + Text(gap if place + 1 < len(self.widths) else "")
            yield line


class Columns:
    """Rows of texts under heads, drawn as wide as the terminal lets it.

    title: which column heads a row where rows are stacked. headless: without a line of heads.
    """

    def __init__(self, *columns: Column, title: int = 0, headless: bool = False) -> None:
        self._columns = columns
        self._title = title
        self._headless = headless
        self._rows: list[Sequence[Text]] = []

    def add_row(self, *cells: Text) -> None:
        self._rows.append(cells)

    def fitted(self, columns: int) -> Table | Stack:
        """The table with the columns that there is room for, or its rows one below the other."""
        kept = list(range(len(self._columns)))
        while self._least(kept) > columns:
            spare = max(kept, key=lambda number: self._columns[number].spare)
            if not self._columns[spare].spare:
                return Stack(*self._stacked())
            kept.remove(spare)
        return Table(
            [self._head(number, kept) for number in kept],
            self._widths(kept, columns),
            [self._columns[number].right for number in kept],
            [[row[number] for number in kept] for row in self._rows],
            headless=self._headless,
        )

    def lines(self, columns: int) -> Iterator[Text]:
        yield from self.fitted(columns).lines(columns)

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
        words = [width(word) for row in self._rows for word in row[number].words()]
        return max([len(self._head(number, kept)), min(wanted, self._columns[number].least), *words])

    def _wants(self, number: int, kept: Sequence[int]) -> int:
        lines = [line.width for row in self._rows for line in row[number].rows()]
        return max([len(self._head(number, kept)), *lines])

    def _widths(self, kept: Sequence[int], columns: int) -> list[int]:
        """What each needs, and its part of what is left."""
        widths = {number: self._needs(number, kept) for number in kept}
        wants = {number: self._wants(number, kept) - widths[number] for number in kept}
        left = columns - self._least(kept)
        for place, number in enumerate(sorted(kept, key=lambda number: wants[number])):
            more = min(wants[number], left // (len(kept) - place))
            widths[number] += more
            left -= more
        return [widths[number] for number in kept]

    def _stacked(self) -> Iterator[Drawn]:
        """Each row as a heading and, below it, what the other columns say."""
        for row in self._rows:
            yield row[self._title].unbroken()
            yield Labeled(
                *(
                    (Text(column.head or column.alone, "dim"), cell)
                    for column, cell in zip(self._columns, row, strict=True)
                    if cell is not row[self._title] and not column.spare and cell.plain.strip()
                )
            )
