"""What the lists of results need to know of the store, whichever it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from shared.stores import Results
from web.cursor import Place

if TYPE_CHECKING:
    from shared.result_item import ResultItem, Stored

Name = TypeVar("Name")
"""By what results are asked for: an entry of the index, or a picture's key."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a walk along the index found: its entries, and where it stopped if there may be more."""

    entries: list[Place]
    more: Place | None


@dataclass(frozen=True, kw_only=True)
class Read(Generic[Name]):
    """The stored items that there are, those not reached in time, and those that cannot be read."""

    items: dict[Name, Stored]
    behind: set[Name]
    unreadable: frozenset[Name] = frozenset()


@dataclass
class Filling:
    """The items of a page while it fills. room: in bytes of JSON; the first item always has room."""

    limit: int
    room: int
    items: list[ResultItem] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.items) == self.limit

    def add(self, item: ResultItem) -> bool:
        """False where there is no room for it."""
        self.room -= len(json.dumps(item, ensure_ascii=False).encode())
        if self.room < 0 and self.items:
            return False
        self.items.append(item)
        return True


class ResultList(Results, Protocol):
    """A store that can also be read by time, newest first."""

    def walk(self, start: Place, limit: int, *, until_s: float, failed: bool = False) -> Found:
        """At most `limit` entries after `start`; begins nothing further after `until_s` (monotonic).

        failed: those of failed results are enough, where an index holds them alone.
        """
        ...

    def read(self, entries: list[Place], *, until_s: float) -> Read[Place]:
        """The items of these entries; begins nothing further after `until_s` (monotonic)."""
        ...

    def read_keys(self, keys: list[str], *, until_s: float) -> Read[str]:
        """The items of these pictures, each key once, as `Results.get` gives them; ends like `read`."""
        ...
