"""The results of a pipeline as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.times import earlier

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# The index by time follows the table after a moment, so each look reaches back over the last ones.
_OVERLAP_S = 30.0


class Feed:
    """The results of a pipeline as they arrive, from whoever uploaded the picture."""

    def __init__(self, api: Api, *, since: str) -> None:
        """since: ISO 8601 UTC; what was analyzed before is not told."""
        self._api = api
        self._since = since
        self._told: dict[tuple[str, str], str] = {}

    def new(self) -> Iterator[ResultItem]:
        """What is new since the last call, oldest first. Raises ApiUnavailable, Problem."""
        fresh: list[ResultItem] = []
        after: str | None = None
        # A page without results covers at least a day more: so many reach back to the moment asked for.
        days = (datetime.now(UTC) - datetime.fromisoformat(self._since)).days + 2
        while days:
            items, after = self._api.results(after=after)
            recent = [item for item in items if item["analyzedAt"] >= self._since]
            fresh += recent
            if after is None or len(recent) < len(items):
                break
            days -= not items
        for item in reversed(fresh):
            mark = (item["objectKey"], item["analyzedAt"])
            if mark not in self._told:
                self._told[mark] = item["analyzedAt"]
                yield item
        self._move_on()

    def _move_on(self) -> None:
        """Keep a short overlap, and forget what lies before it."""
        if not self._told:
            return
        newest = max(self._told.values())
        self._since = max(self._since, earlier(newest, _OVERLAP_S))
        self._told = {mark: at for mark, at in self._told.items() if at >= self._since}
