"""What a stream leads to: whether it is a terminal, how wide, and what it obeys."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from imgpipe_cli.render.text import fitted

if TYPE_CHECKING:
    from rich.console import Console

# Wide enough for the tables where there is no terminal to ask.
_PLAIN_WIDTH = 100
# Fewer columns hold no table.
_LEAST_WIDTH = 40


def obeys(stream: Any) -> bool:
    """True for a terminal that takes more than text."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def colored(stream: Any) -> bool:
    """True for a terminal whose user takes colors."""
    return obeys(stream) and not os.environ.get("NO_COLOR")


def fitting(text: str, stream: Any) -> str:
    """As a terminal shows it without a word cut; what goes elsewhere has its own lines."""
    return fitted(text, size(stream)[0]) if stream.isatty() else text


def size(stream: Any) -> tuple[int, int]:
    """The columns and lines to draw in: what the variables say if they are numbers, else the terminal."""
    if not stream.isatty():
        return _PLAIN_WIDTH, 25
    try:
        there = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        there = os.terminal_size((0, 0))
    columns, lines = shutil.get_terminal_size(there)
    return max(columns or 80, _LEAST_WIDTH), lines or 25


def console(stream: Any) -> Console:
    """Rich's, for what moves on this stream."""
    from rich.console import Console, ConsoleDimensions

    class Fitting(Console):
        """Follows the terminal when it is resized, and takes only numbers from the variables."""

        @property  # type: ignore[misc]
        def size(self) -> ConsoleDimensions:
            return ConsoleDimensions(*size(stream))

    columns, lines = size(stream)
    return Fitting(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        width=columns,
        height=lines,
        color_system="auto" if colored(stream) else None,
    )
