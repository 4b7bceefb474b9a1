"""GET /results: what the pipeline saw last, newest first.

A page may be short or even empty although more follows (results were removed, or the time was up): only
`next: null` is the end.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from shared.aws_clients import Timeouts
from shared.http_api import ApiError, Request, Response, json_response
from shared.results import shown
from web.cursor import Place, parse_cursor
from web.needs import Needs, PageLimits
from web.pages import Read
from web.pictures import signed_link

if TYPE_CHECKING:
    from shared.result_item import ResultItem, Stored

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
"""As many keys as BatchGetItem takes."""

# The function is stopped after 20 s. One call to the store takes at most 2 x (1 + 2) + 1 = 7 s. No further
# part of the index is asked for after 3 s, and no further items after 8 s; so the walk ends by 3 + 7 = 10 s,
# and the reading of the items by max(10, 8) + 7 = 17 s.
STORE_TIMEOUTS = Timeouts(connect_s=1, read_s=2, attempts=2)


def worst_case_s(timeouts: PageLimits) -> float:
    """Seconds that a page can take at most."""
    call_s = STORE_TIMEOUTS.worst_case_s()
    return max(timeouts.walk_s + call_s, timeouts.read_s) + call_s


def list_results(request: Request, needs: Needs) -> Response:
    """200 `{items, next}`; ApiError 400 `invalid_limit`, `invalid_cursor` or `invalid_images`, 503 `busy`."""
    started_s = time.monotonic()
    limit = _limit(request.query.get("limit"))
    start = _start(request.query.get("after"), needs)
    with_images = _with_images(request.query.get("images", "false"))
    found = needs.results.walk(start, limit, until_s=started_s + needs.page_limits.walk_s)
    read = needs.results.read(found.entries, until_s=started_s + needs.page_limits.read_s)
    if found.entries and found.entries[0] in read.behind:
        raise ApiError(503, "busy", "The results could not be read in time. Try again.", {"Retry-After": "1"})
    items, reached = _page(found.entries, read, needs, with_images=with_images)
    more = found.more if reached is None else reached
    return json_response(200, {"items": items, "next": more.text() if more else None})


def _page(
    entries: list[Place], read: Read[Place], needs: Needs, *, with_images: bool
) -> tuple[list[ResultItem], Place | None]:
    """The items in the entries' order, and the last entry served when there was no room or time for all."""
    items: list[ResultItem] = []
    room = needs.page_limits.answer_bytes
    reached: Place | None = None
    for entry in entries:
        if entry in read.behind:
            return items, reached
        item = _item(read.items.get(entry), needs, with_images=with_images)
        if item is not None:
            room -= len(json.dumps(item, ensure_ascii=False).encode())
            if room < 0 and items:
                return items, reached
            items.append(item)
        reached = entry
    return items, None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
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
    if item is None or not with_images:
        return item
    return {**item, "imageUrl": signed_link(needs.s3, needs.config.bucket, item)}
