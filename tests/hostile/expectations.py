"""What every row of every table has, and what holds for whatever a command prints."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from tests.support.cli import Printed

ROW_TIMEOUT_S = 60
"""Far more than any row takes: what runs into it waits without an end."""

_OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
"""Unicode's categories of what a terminal obeys, hides, or cannot draw."""


def harmless(text: str) -> str:
    """The text, if a terminal only shows it."""
    found = [char for char in text if char != "\n" and unicodedata.category(char) in _OBEYED]
    assert not found, f"{found} in {text!r}"
    return text


def calm(printed: Printed) -> Printed:
    """What a command printed for people, if none of it is a traceback, an unforeseen error, or obeyed."""
    for text in (printed.out, printed.err):
        harmless(text)
        assert "Traceback" not in text
        assert "Something unexpected" not in text
    return printed


def rows(table: Any) -> pytest.MarkDecorator:
    """A mark that runs a test once for each row of a table, under the row's own name."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in table])
