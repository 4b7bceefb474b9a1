"""CSV: a line for each result, with names for programs that calculate."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe_cli.pictures.exporting.columns import COLUMNS, row

if TYPE_CHECKING:
    from imgpipe_cli.pictures.exporting.formats import Stream
    from shared.result_item import ResultItem

# Spreadsheets take a cell that begins so for a formula, some of them also in its wide form. A key, or a text
# in a picture, is anybody's.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001


# Both characters, so that a cell which holds one of them is quoted.
_LINE_END = "\r\n"


@dataclass(frozen=True)
class _Lines:
    """Ends the lines as all other output does; on Windows the stream itself makes both characters of it."""

    stream: Stream

    def write(self, row: str) -> None:
        self.stream.write(row.removesuffix(_LINE_END) + "\n")


def write(items: Iterable[ResultItem], stream: Stream) -> None:
    table = csv.writer(_Lines(stream), lineterminator=_LINE_END)
    table.writerow(COLUMNS)
    table.writerows(map(_harmless, row(item)) for item in items)


def _harmless(value: str | int | None) -> str | int | None:
    """With an apostrophe before it, a spreadsheet shows the text and calculates nothing."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
