"""GET /results: what the pipeline saw last, newest first.

A page may be short or even empty although more follows (results were removed, or the time was up): only
`next: null` is the end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from shared.aws_clients import Timeouts
from shared.http_api import ApiError, Request, Response, busy, json_response
from shared.results import shown
from web.cursor import Place, parse_cursor
from web.finding import Found
from web.needs import Needs, PageLimits
from web.pages import Filling, Read
from web.pictures import signed_link
from web.search import Labeled, parse_labeled, parse_search

if TYPE_CHECKING:
    from shared.result_item import ResultItem, Stored

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
"""As many keys as BatchGetItem takes."""

_CHUNK = 500
"""Entries walked at once: with keys of 1 KB still less than the 1 MB at which DynamoDB cuts an answer."""

# The function is stopped after 20 s. One call to the store takes at most 2 x (1 + 2) + 1 = 7 s. No further
# part of the index is asked for after 3 s, and no further items after 8 s; so the walk ends by 3 + 7 = 10 s,
# and the reading of the items by max(10, 8) + 7 = 17 s.
STORE_TIMEOUTS = Timeouts(connect_s=1, read_s=2, attempts=2)


def worst_case_s(timeouts: PageLimits) -> float:
    """Seconds that a page can take at most."""
    call_s = STORE_TIMEOUTS.worst_case_s()
    return max(timeouts.walk_s + call_s, timeouts.read_s) + call_s


def list_results(request: Request, needs: Needs) -> Response:
    """200 `{items, next}`, and with a search `index`; ApiError 503 `busy`, 400 with
    `invalid_` and the name of the parameter, `invalid_cursor` for `after`."""
    started_s = time.monotonic()
    limit = limit_of(request, DEFAULT_LIMIT)
    with_images = _with_images(request.query.get("images", "false"))
    labeled = parse_labeled(request, needs.index, complete=bool(needs.config.failed_index))
    wanted = Wanted(_status(request.query.get("status")), request.query.get("prefix", ""), labeled)
    search = parse_search(request)
    if not search.everything:
        found = Found(needs, search, wanted, limit, request.query.get("after"))
        place = found.fill(started_s)
        items = [_linked(item, needs) for item in found.items] if with_images else found.items
        answer = {"items": items, "next": place.text() if place else None}
        return json_response(200, {**answer, "index": _state(needs)})
    start = _start(request.query.get("after"), needs)
    page = _Page(needs, wanted, limit, start, with_images=with_images)
    more = page.fill(started_s)
    if more == start and not page.items:
        raise busy()
    return json_response(200, {"items": page.items, "next": more.text() if more else None})


def _state(needs: Needs) -> dict[str, Any]:
    """Whether the index has all results; if not, how many it has by now of those from before it was made."""
    if needs.config.failed_index:
        return {"complete": True}
    state = needs.index.state()
    return {"complete": False, "filled": state.get("filled", 0), "of": state.get("of")}


@dataclass(frozen=True)
class Wanted:
    """Which results are listed; "" and None: all. status: as stored. prefix: how the key begins."""

    status: str = ""
    prefix: str = ""
    labeled: Labeled | None = None

    @property
    def everything(self) -> bool:
        return not (self.status or self.prefix or self.labeled)

    def may_match(self, entry: Place) -> bool:
        """Before its item is read. The index of a bucket names some keys by a hash, after a tilde."""
        name = entry.object_key or ""
        return name.startswith((self.prefix, "~")) and (self.labeled is None or self.labeled.may_be(name))

    def matches(self, item: ResultItem) -> bool:
        fits = item["objectKey"].startswith(self.prefix) and self.status in ("", item["status"])
        return fits and (self.labeled is None or self.labeled.matches(item))


class _Page:
    """One page while it fills."""

    def __init__(self, needs: Needs, wanted: Wanted, limit: int, start: Place, *, with_images: bool) -> None:
        self._filling = Filling(limit, needs.page_limits.answer_bytes)
        self._needs = needs
        self._wanted = wanted
        self._with_images = with_images
        self._reached = start

    @property
    def items(self) -> list[ResultItem]:
        return self._filling.items

    def fill(self, started_s: float) -> Place | None:
        """Where the next page begins. Nothing further is begun once the time for the walk is up."""
        results, limits = self._needs.results, self._needs.page_limits
        walk_until_s, read_until_s = started_s + limits.walk_s, started_s + limits.read_s
        # Where some are left out, many entries may have to be passed over.
        size = self._filling.limit if self._wanted.everything else _CHUNK
        while True:
            found = results.walk(
                self._reached, size, until_s=walk_until_s, failed=self._wanted.status == "failed"
            )
            entries = [entry for entry in found.entries if self._wanted.may_match(entry)]
            for first in range(0, len(entries), MAX_LIMIT):
                full = self._filling.is_full
                if first and (full or time.monotonic() > walk_until_s):
                    return self._reached
                some = entries[first : first + MAX_LIMIT]
                if not self._take(some, results.read(some, until_s=read_until_s)):
                    return self._reached
            if found.more is None or self._wanted.everything or time.monotonic() > walk_until_s:
                return found.more
            self._reached = found.more

    def _take(self, entries: list[Place], read: Read[Place]) -> bool:
        """Add the items in the entries' order; False where there was no room or time for all."""
        for entry in entries:
            if entry in read.behind or self._filling.is_full:
                return False
            item = _item(read.items.get(entry), self._needs, with_images=self._with_images)
            if item is not None and self._wanted.matches(item) and not self._filling.add(item):
                return False
            self._reached = entry
        return True


def _status(text: str | None) -> str:
    if text not in (None, "done", "failed"):
        raise ApiError(400, "invalid_status", "status is done or failed.")
    return text or ""


def limit_of(request: Request, default: int) -> int:
    """How many items a page may have. Raises ApiError 400 `invalid_limit`."""
    text = request.query.get("limit", str(default))
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ApiError(400, "invalid_limit", f"limit is a whole number from 1 to {MAX_LIMIT}.")


def _with_images(text: str) -> bool:
    if text not in ("true", "false"):
        raise ApiError(400, "invalid_images", "images is true or false.")
    return text == "true"


def _start(cursor: str | None, needs: Needs) -> Place:
    # One day ahead: the ingest function's clock may run a little before ours at midnight.
    newest = needs.now().astimezone(UTC).date() + timedelta(days=1)
    if not cursor:
        return Place(day=newest)
    try:
        place = parse_cursor(cursor)
    except ValueError as error:
        raise ApiError(400, "invalid_cursor", "after is the 'next' of an earlier answer.") from error
    return place if place.day <= newest else Place(day=newest)


def _item(stored: Stored | None, needs: Needs, *, with_images: bool) -> ResultItem | None:
    item = shown(stored) if stored else None
    return item if item is None or not with_images else _linked(item, needs)


def _linked(item: ResultItem, needs: Needs) -> ResultItem:
    return {**item, "imageUrl": signed_link(needs.s3, needs.config.bucket, item)}
