"""How Rich draws tables and styled text on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text as RichText

from imgpipe_cli.render.columns import Columns, Table
from imgpipe_cli.render.styled import Drawn, Labeled, Stack, Text


def renderable(drawn: Drawn, columns: int) -> RenderableType:
    """The same for a console that is so many columns wide."""
    match drawn:
        case Text():
            return _broken(drawn, columns)
        case Stack():
            return Group(*(renderable(part, columns) for part in drawn.parts))
        case Columns():
            return renderable(drawn.fitted(columns), columns)
        case Labeled():
            return _labeled(drawn, columns)
        case Table():
            return _table(drawn)
    return Group(*(_text(line.unbroken()) for line in drawn.lines(columns)))


def _text(text: Text) -> RichText:
    found = RichText(no_wrap=text.whole, overflow="ignore" if text.whole else "fold")
    for plain, style in text.spans:
        found.append(plain, style or None)
    return found


def _broken(text: Text, columns: int) -> RichText:
    """In lines of ours: Rich takes a percent sign from its number."""
    if text.whole:
        return _text(text)
    return RichText("\n").join(map(_text, text.lines(columns)))


def _labeled(labeled: Labeled, columns: int) -> RichTable:
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in labeled.rows:
        indented = RichText(" " * Labeled.INDENT if label.plain else "")
        grid.add_row(indented.append_text(_text(label)), _broken(text, labeled.room(columns)))
    return grid


def _table(table: Table) -> RichTable:
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    if table.headless:
        drawn = RichTable(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for head, width, right in zip(table.heads, table.widths, table.right, strict=True):
        drawn.add_column(head, width=width, overflow="fold", justify="right" if right else "left")
    for row in table.rows:
        drawn.add_row(*map(_broken, row, table.widths))
    return drawn
