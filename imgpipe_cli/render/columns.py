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

    def lines(self, columns: int) -> Iterator[Text]:
        kept = list(range(len(self._columns)))
        while self._least(kept) > columns:
            spare = max(kept, key=lambda number: self._columns[number].spare)
            if not self._columns[spare].spare:
                yield from Stack(*self._stacked()).lines(columns)
                return
            kept.remove(spare)
        yield from self._table(kept, columns)

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

    def _table(self, kept: Sequence[int], columns: int) -> Iterator[Text]:
        widths = self._widths(kept, columns)
        if not self._headless:
            yield Text()
            yield from self._row([Text(self._head(number, kept), "dim") for number in kept], kept, widths)
            yield Text(" " + "─" * (sum(widths) + _GAP * (len(kept) - 1)))
        for row in self._rows:
            yield from self._row([row[number] for number in kept], kept, widths)
        if not self._headless:
            yield Text()

    def _row(self, cells: Sequence[Text], kept: Sequence[int], widths: Sequence[int]) -> Iterator[Text]:
        """The lines of one row: of each cell its next one, or blanks."""
        gap, edge = ("  ", "") if self._headless else (" " * _GAP, " ")
        wrapped = [list(cell.lines(room)) for cell, room in zip(cells, widths, strict=True)]
        for number in range(max(map(len, wrapped))):
            line = Text(edge)
            for place, room in enumerate(widths):
                piece = wrapped[place][number] if number < len(wrapped[place]) else Text()
                right = self._columns[kept[place]].right
                line += piece.padded(room, right=right) + Text(gap if place + 1 < len(widths) else "")
            yield line

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
