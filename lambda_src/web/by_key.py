"""POST /results: the results of several pictures by their keys, in one request."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from shared.http_api import ApiError, Request, Response, busy, json_object, json_response
from shared.results import shown
from web.needs import Needs

if TYPE_CHECKING:
    from shared.result_item import ResultItem

MAX_KEYS = 100
"""As many as BatchGetItem takes."""

MAX_BODY_BYTES = 128 * 1024
"""Room for as many keys of 1,024 bytes."""


def results_by_key(request: Request, needs: Needs) -> Response:
    """200 `{items, absent, rest}`; ApiError 400 `invalid_body` or `invalid_keys`, 503 `busy`.

    Each key stands in one of the three, however often it was sent. `rest`: to be asked for again.
    """
    until_s = time.monotonic() + needs.page_limits.read_s
    keys = _keys(json_object(request.body, MAX_BODY_BYTES, "keys"))
    read = needs.results.read_keys(keys, until_s=until_s)
    if read.behind.issuperset(keys):
        raise busy()
    items: list[ResultItem] = []
    absent: list[str] = []
    rest: list[str] = []
    # No key takes more room in the answer than it took in the body.
    room = needs.page_limits.answer_bytes - len(request.body)
    for key in keys:
        stored = read.items.get(key)
        item = shown(stored) if stored else None
        if key in read.behind or key in read.unreadable:
            rest.append(key)
        elif item is None:
            absent.append(key)
        else:
            size = len(json.dumps(item, ensure_ascii=False).encode())
            if size > room and items:
                rest.append(key)
                continue
            room -= size
            items.append(item)
    return json_response(200, {"items": items, "absent": absent, "rest": rest})


def _keys(document: dict[str, Any]) -> list[str]:
    """Each key once, in the order in which they were sent."""
    keys = document.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS or not all(map(_is_text, keys)):
        raise ApiError(400, "invalid_keys", f"keys is a list of 1 to {MAX_KEYS} texts, none of them empty.")
    return list(dict.fromkeys(keys))


def _is_text(key: object) -> bool:
    """False also for half of a character, which JSON can write and no answer could hold."""
    return isinstance(key, str) and key != "" and not any("\ud800" <= char <= "\udfff" for char in key)
