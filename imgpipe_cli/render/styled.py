"""Styled text, stacks and labels: all that tables and reports are made of.

Rich draws them on a terminal (rich_drawing.py). Elsewhere they are plain lines, without Rich: it takes longer
to load than a result takes to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from imgpipe_cli.render.text import WORD, width


class Drawn(Protocol):
    """Anything that can be shown as lines."""

    def lines(self, columns: int) -> Iterator[Text]:
        """Its lines, each at most so many columns wide where no word is longer."""


class Text:
    """Words in a style; added to others, each part keeps its own. Never changes.

    style: names such as "bold red", or one color as "rgb(1,2,3)". spans: the parts and their styles.
    whole: it stays in one line, however long.
    """

    def __init__(self, plain: str = "", style: str = "") -> None:
        self.plain = plain
        self.whole = False
        self.spans: tuple[tuple[str, str], ...] = ((plain, style),)

    def unbroken(self) -> Text:
        """The same, in one line however long: a key is copied as a whole."""
        found = self + Text()
        found.whole = True
        return found

    def __add__(self, other: Text) -> Text:
        found = Text(self.plain + other.plain)
        found.spans = (*self.spans, *other.spans)
        return found

    @property
    def width(self) -> int:
        """The columns that it takes in one line."""
        return width(self.plain)

    def part(self, start: int, end: int) -> Text:
        """The letters from start up to end, in their styles."""
        found, at = Text(), 0
        for plain, style in self.spans:
            found += Text(plain[max(start - at, 0) : max(end - at, 0)], style)
            at += len(plain)
        return found

    def rows(self) -> list[Text]:
        """What stands between its line ends."""
        ends = [found.start() for found in re.finditer("\n", self.plain)]
        return [
            self.part(start, end)
            for start, end in zip([0, *(end + 1 for end in ends)], [*ends, len(self.plain)], strict=True)
        ]

    def words(self) -> list[str]:
        return re.findall(WORD, self.plain)

    def lines(self, columns: int) -> Iterator[Text]:
        """Broken between words; a word that fits into no line is broken where the line ends."""
        if self.whole:
            yield self
            return
        for row in self.rows():
            yield from (row.part(start, end) for start, end in _broken(row.plain, columns))

    def padded(self, columns: int, *, right: bool = False) -> Text:
        """Filled up with blanks, on its left if it goes to the right."""
        blanks = Text(" " * max(columns - self.width, 0))
        return blanks + self if right else self + blanks


class Stack:
    """One thing below the other."""

    def __init__(self, *parts: Drawn) -> None:
        self.parts = parts

    def lines(self, columns: int) -> Iterator[Text]:
        for part in self.parts:
            yield from part.lines(columns)


class Labeled:
    """A label on the left of each text, which stays in a column of its own."""

    INDENT = 2

    def __init__(self, *rows: tuple[Text, Text]) -> None:
        self.rows = rows

    def room(self, columns: int) -> int:
        """What the labels leave of so many columns."""
        return max(columns - self._left, 1)

    @property
    def _left(self) -> int:
        labels = max((label.width for label, _ in self.rows), default=0)
        return self.INDENT + labels + (2 if labels else 0)

    def lines(self, columns: int) -> Iterator[Text]:
        left = self._left
        for label, text in self.rows:
            head = (Text(" " * self.INDENT) + label).padded(left)
            for line in text.lines(self.room(columns)):
                yield head + line
                head = Text(" " * left)


def _broken(row: str, columns: int) -> Iterator[tuple[int, int]]:
    """From where to where its lines go."""
    start = end = used = 0
    for found in re.finditer(rf" *{WORD}", row):
        word = found[0]
        if end > start and used + width(word) > columns:
            yield start, end
            word = word.lstrip(" ")
            start, used = found.end() - len(word), 0
        while used + width(word) > columns:
            cut = next((n for n in range(1, len(word)) if width(word[: n + 1]) > columns), len(word))
            yield start, found.end() - len(word) + cut
            word = word[cut:]
            start = found.end() - len(word)
        used += width(word)
        end = found.end()
    yield start, max(start, end)
