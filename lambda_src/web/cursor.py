"""Cursors: the place after which the next page begins; here that of a list of results.

A cursor is opaque to clients and may come back altered, so it is taken apart with care. It grants nothing:
the token does.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.results import key_possible


def text_of(document: list[Any]) -> str:
    """The cursor of what JSON can hold."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def document_of(text: str) -> Any:
    """What came as a cursor, unchecked. Raises ValueError where that is no JSON."""
    try:
        padded = text + "=" * (-len(text) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except RecursionError as error:
        raise ValueError("not a cursor") from error


@dataclass(frozen=True, kw_only=True)
class Place:
    """An entry of the index: results of `day` older than `analyzed_at`, and all earlier days, come after it.

    Without an entry it is the start of a day.
    """

    day: date
    analyzed_at: str | None = None
    object_key: str | None = None

    def text(self) -> str:
        return text_of([self.day.isoformat(), self.analyzed_at, self.object_key])


def parse_cursor(text: str) -> Place:
    """Raises ValueError for everything that `Place.text` would not have written."""
    try:
        day, analyzed_at, object_key = document_of(text)
        place = Place(day=date.fromisoformat(day), analyzed_at=analyzed_at, object_key=object_key)
    except (ValueError, TypeError) as error:
        raise ValueError("not a cursor") from error
    if not _valid_entry(place.day, analyzed_at, object_key):
        raise ValueError("not a cursor")
    return place


def _valid_entry(day: date, analyzed_at: Any, object_key: Any) -> bool:
    if analyzed_at is None or object_key is None:
        return analyzed_at is None and object_key is None
    if not isinstance(analyzed_at, str) or not isinstance(object_key, str):
        return False
    time = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d):([0-5]\d):[0-5]\d\.\d{3}Z", analyzed_at, re.ASCII)
    return bool(time and time[1] == day.isoformat() and time[2] < "24" and key_possible(object_key))
