"""Labels with the number of their pictures, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgpipe_cli.render.columns import Column, Columns
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.render.styled import Text
from imgpipe_cli.render.text import safe


def show(screen: Screen, labels: Sequence[Mapping[str, Any]]) -> None:
    """Nothing where there are none; a number that is not all of them ends with a plus sign."""
    if not labels:
        return
    drawn = Columns(Column("Label", whole=True), Column("Pictures", whole=True, right=True))
    for label in labels:
        count = f"{label['count']:,}{'+' if label.get('more') else ''}"
        drawn.add_row(Text(safe(label["name"])), Text(count))
    screen.show(drawn)
