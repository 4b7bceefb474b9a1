"""What GET /results needs to know of the store, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.stores import Results
from web.cursor import Place

if TYPE_CHECKING:
    from shared.result_item import Stored


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a walk along the index found: its entries, and where it stopped if there may be more."""

    entries: list[Place]
    more: Place | None


@dataclass(frozen=True, kw_only=True)
class Read:
    """The stored items by entry, and the entries that were not reached in time."""

    items: dict[Place, Stored]
    behind: set[Place]


class ResultList(Results, Protocol):
    """A store that can also be read by time, newest first."""

    def walk(self, start: Place, limit: int, *, until_s: float) -> Found:
        """At most `limit` entries after `start`; begins nothing further after `until_s` (monotonic)."""
        ...

    def read(self, entries: list[Place], *, until_s: float) -> Read:
        """The items of these entries; begins nothing further after `until_s` (monotonic)."""
        ...
