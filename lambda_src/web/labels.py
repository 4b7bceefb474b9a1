"""GET /labels: the labels that pictures have, with their numbers."""

from __future__ import annotations

import time
from typing import Any

from shared.confidence import min_confidence
from shared.http_api import ApiError, Request, Response, busy, json_response
from shared.index_rows import folded, label_pk
from web import cursor
from web.index_reader import Count, side_by_side
from web.listing import MAX_LIMIT, limit_of
from web.needs import Needs


def list_labels(request: Request, needs: Needs) -> Response:
    """200 `{items, next}`; ApiError 400 `invalid_limit`, `invalid_cursor` or `invalid_min_confidence`.

    An item is `{name, count}`, and `more` where there was no time to count all. A page may be short or empty
    although more follows: labels that no picture has any more are left out.
    """
    until_s = time.monotonic() + needs.page_limits.walk_s
    limit = limit_of(request, MAX_LIMIT)
    least = min_confidence(request.query.get("min_confidence")) or 0.0
    given = request.query.get("after", "")
    after = _place(given) if given else ""
    names, more = needs.index.names(request.query.get("prefix", ""), after, limit)

    def count(name: tuple[str, str]) -> Count | None:
        """None: not begun in time."""
        if time.monotonic() > until_s:
            return None
        return needs.index.count(label_pk(name[1]), least, until_s)

    items: list[dict[str, Any]] = []
    reached = after
    for (sort_name, name), found in zip(names, side_by_side(count, names), strict=True):
        if found is None:
            if reached == after:
                raise busy()
            more = True
            break
        reached = sort_name
        if found.number:
            items.append({"name": name, "count": found.number, **({} if found.complete else {"more": True})})
    return json_response(200, {"items": items, "next": cursor.text_of(["labels", reached]) if more else None})


def _place(text: str) -> str:
    """The name after which the page begins. Raises ApiError for everything that no page ended with."""
    try:
        kind, name = cursor.document_of(text)
        if kind == "labels" and isinstance(name, str) and name.encode() and folded(name) == name:
            return name
    except (ValueError, TypeError):
        pass
    raise ApiError(400, "invalid_cursor", "after is the 'next' of an earlier answer.")
