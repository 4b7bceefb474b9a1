"""Results as one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from imgpipe_cli.pictures.listing import filtered, status_of
from imgpipe_cli.render.columns import SENTENCE, Column, Columns
from imgpipe_cli.render.results import brief
from imgpipe_cli.render.styled import Text
from imgpipe_cli.render.text import safe

if TYPE_CHECKING:
    from shared.result_item import ResultItem

_STYLES = {"done": "green", "failed": "red", "retrying": "yellow"}


def table(items: Sequence[ResultItem], min_confidence: float) -> Columns:
    """A row for each result: when, which, how it stands, and what was found or why not."""
    whole = (Column(head, whole=True) for head in ("Analyzed", "Key", "Status"))
    drawn = Columns(*whole, Column("Found", least=SENTENCE), title=1)
    for item in items:
        status = status_of(item)
        at = datetime.fromisoformat(item["analyzedAt"]).astimezone()
        drawn.add_row(
            Text(f"{at:%Y-%m-%d %H:%M:%S}"),
            Text(safe(item["objectKey"])),
            Text(status, _STYLES[status]),
            Text(_found(item, min_confidence)),
        )
    return drawn


def _found(item: ResultItem, min_confidence: float) -> str:
    if item["status"] == "failed":
        return safe(item["error"]["message"])
    return "; ".join(brief(filtered(item, min_confidence))) or "nothing found"
