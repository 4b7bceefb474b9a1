"""GET /results with a label, a text or a name: pictures by what is in them, best first.

The group of conditions that fewest pictures meet leads: its rows are walked in the order of their certainty,
and each row is checked against its result, which decides. So a row that is left over shows nothing wrong.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.http_api import ApiError, busy
from shared.index_rows import rank, sort_key
from shared.results import shown
from web import cursor
from web.index_reader import side_by_side
from web.needs import Needs
from web.pages import Filling
from web.search import NARROW, Group, Search, certainties_by_group

if TYPE_CHECKING:
    from shared.result_item import ResultItem, Stored
    from web.listing import Wanted

_AT_ONCE = 100
"""Results read at once, as many as BatchGetItem takes."""

_ROWS = 1000
"""Rows walked at once where others narrow them down: with keys of 1 KB about the 1 MB of an answer."""

_SK = re.compile(r"[0-9]{2}\.[0-9]{2}#[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class FoundPlace:
    """Where a page of found pictures ends: the group that leads, and the sk of the last row looked at.

    search: the mark of the search.
    """

    search: str
    leader: int
    sk: str

    def text(self) -> str:
        return cursor.text_of(["found", self.search, self.leader, self.sk])


def parse_place(text: str, search: str, groups: int) -> FoundPlace:
    """Raises ApiError 400 `invalid_cursor` for everything that another search would have given."""
    try:
        kind, mark, leader, sk = cursor.document_of(text)
    except (ValueError, TypeError):
        kind, mark, leader, sk = None, None, None, None
    valid = isinstance(leader, int) and 0 <= leader < groups and isinstance(sk, str)
    if (kind, mark) != ("found", search) or not valid or not _SK.fullmatch(sk):
        raise ApiError(400, "invalid_cursor", "after is the 'next' of an earlier answer of this search.")
    return FoundPlace(search=search, leader=leader, sk=sk)


@dataclass(frozen=True, kw_only=True)
class _Narrowed:
    """The group that leads, and the hashes of keys that the others leave; None: any."""

    leader: int
    hashes: set[str] | None


class Found:
    """One page of found pictures while it fills."""

    def __init__(self, needs: Needs, search: Search, wanted: Wanted, limit: int, after: str | None) -> None:
        self._filling = Filling(limit, needs.page_limits.answer_bytes)
        self._needs = needs
        self._search = search
        self._wanted = wanted
        self._groups = search.groups(needs.index)
        self._start = parse_place(after, search.mark, len(self._groups)) if after else None
        self._reached = self._start.sk if self._start else ""

    @property
    def items(self) -> list[ResultItem]:
        return self._filling.items

    def fill(self, started_s: float) -> FoundPlace | None:
        """Where the next page begins. Nothing further is begun once the time for the walk is up."""
        limits = self._needs.page_limits
        walk_until_s, read_until_s = started_s + limits.walk_s, started_s + limits.read_s
        narrowed = self._narrowed()
        while True:
            rows, more = self._rows(narrowed)
            wanted = [
                (sk, key)
                for sk, key in rows
                if key.startswith(self._wanted.prefix)
                and (narrowed.hashes is None or sk.partition("#")[2] in narrowed.hashes)
            ]
            for first in range(0, len(wanted), _AT_ONCE):
                full = self._filling.is_full
                if full or (first and time.monotonic() > walk_until_s):
                    return self._place(narrowed)
                if not self._take(wanted[first : first + _AT_ONCE], narrowed.leader, read_until_s):
                    return self._place(narrowed)
            if rows:
                self._reached = rows[-1][0]
            if not more:
                return None
            if self._filling.is_full or time.monotonic() > walk_until_s:
                return self._place(narrowed)

    def _place(self, narrowed: _Narrowed) -> FoundPlace:
        """Raises ApiError 503 where not even the first result could be read in time."""
        if not self._reached or (self._start and self._start.sk == self._reached):
            raise busy()
        return FoundPlace(search=self._search.mark, leader=narrowed.leader, sk=self._reached)

    def _narrowed(self) -> _Narrowed:
        if len(self._groups) == 1:
            return _Narrowed(leader=0, hashes=None)
        peeks = side_by_side(self._peek, self._groups)
        small = [(len(found), place) for place, found in enumerate(peeks) if found is not None]
        leader = self._start.leader if self._start else min(small, default=(0, 0))[1]
        others = [found for place, found in enumerate(peeks) if found is not None and place != leader]
        return _Narrowed(leader=leader, hashes=set.intersection(*others) if others else None)

    def _peek(self, group: Group) -> set[str] | None:
        return self._needs.index.few(group, self._search.min_confidence, NARROW)

    def _rows(self, narrowed: _Narrowed) -> tuple[list[tuple[str, str]], bool]:
        """(sk, key) of the next rows of the group that leads, in order, and whether there are more."""
        index, least = self._needs.index, self._search.min_confidence
        alone = narrowed.hashes is None and self._wanted.everything and len(self._groups) == 1
        size = min(self._filling.limit - len(self.items) + 1, _AT_ONCE) if alone else _ROWS
        parts = side_by_side(
            lambda pk: index.rows(pk, self._reached, least, size), self._groups[narrowed.leader]
        )
        # Beyond the end of a part that has more, rows of it may be missing.
        ends = [rows[-1][0] for rows, more in parts if more and rows]
        end = min(ends, default="~")
        merged = {sk: key for rows, _ in parts for sk, key in rows if sk <= end}
        return sorted(merged.items()), bool(ends)

    def _take(self, rows: list[tuple[str, str]], leader: int, read_until_s: float) -> bool:
        """Add the items of the rows, in order; False where there was no room or time for all."""
        read = self._needs.results.read_keys(list({key: None for _, key in rows}), until_s=read_until_s)
        for sk, key in rows:
            if key in read.behind or self._filling.is_full:
                return False
            item = self._item(read.items.get(key), sk, leader)
            if item is not None and not self._filling.add(item):
                return False
            self._reached = sk
        return True

    def _item(self, stored: Stored | None, sk: str, leader: int) -> ResultItem | None:
        """The result, where it is what the row says and what is looked for."""
        item = shown(stored) if stored else None
        if item is None or not self._wanted.matches(item):
            return None
        certain = certainties_by_group(item, self._groups)
        if any(one is None or one < self._search.min_confidence for one in certain):
            return None
        # The best of a group's rows stands for the picture: it is shown once.
        return item if sort_key(rank(certain[leader] or 0.0), item["objectKey"]) == sk else None
