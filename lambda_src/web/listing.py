"""GET /results: what the pipeline saw last, newest first.

The index holds one partition for each day. A page is gathered by walking back day by day, a few days at once,
until it is full, the pipeline's first day is reached, or the time is up; then the cursor says where to go on.
A page may therefore be short or even empty although more follows: only `next: null` is the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any

from shared.aws_clients import Limits
from shared.dynamo_types import from_attributes, to_attributes
from shared.http_api import ApiError, Request, Response, json_response
from shared.results import shown
from web.cursor import Place, parse_cursor
from web.needs import Needs, PageLimits
from web.pictures import signed_link

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
"""As many keys as BatchGetItem takes."""

PARALLEL_DAYS = 8
"""Days asked for at once: a quiet week in one go, without a crowd of connections."""

# The function is stopped after 20 s. One call takes at most 2 x (1 + 2) + 1 = 7 s. No further days are
# asked for after 3 s, and unprocessed keys not again after 8 s; so the walk ends by 3 + 7 = 10 s, and the
# reading of the items by max(10, 8) + 7 = 17 s.
DYNAMODB_LIMITS = Limits(connect_s=1, read_s=2, attempts=2)

PAUSE_S = 0.05
"""Before unprocessed keys are asked for again: the table said that it was too much at once."""


def worst_case_s(limits: PageLimits) -> float:
    """Seconds that a page can take at most."""
    call_s = DYNAMODB_LIMITS.worst_case_s()
    return max(limits.walk_s + call_s, limits.read_s) + call_s


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the walk found: entries of the index, and where it stopped if there may be more."""

    entries: list[Place]
    more: Place | None


def list_results(request: Request, needs: Needs) -> Response:
    """200 `{items, next}`; ApiError 400 `invalid_limit` or `invalid_cursor`, 503 `busy`."""
    started_s = time.monotonic()
    limit = _limit(request.query.get("limit"))
    start = _start(request.query.get("after"), needs)
    found = _walk(start, limit, needs, until_s=started_s + needs.page_limits.walk_s)
    stored, behind = _read(found.entries, needs, until_s=started_s + needs.page_limits.read_s)
    if found.entries and found.entries[0].object_key in behind:
        raise ApiError(503, "busy", "The results could not be read in time. Try again.", {"Retry-After": "1"})
    with_images = request.query.get("images") == "true"
    items, reached = _page(found.entries, stored, behind, needs, with_images=with_images)
    more = found.more if reached is None else reached
    return json_response(200, {"items": items, "next": more.text() if more else None})


def _page(
    entries: list[Place],
    stored: dict[str, dict[str, AttributeValueTypeDef]],
    behind: set[str],
    needs: Needs,
    *,
    with_images: bool,
) -> tuple[list[dict[str, Any]], Place | None]:
    """The items in the entries' order, and the last entry served when there was no room or time for all."""
    items: list[dict[str, Any]] = []
    room = needs.page_limits.answer_bytes
    reached: Place | None = None
    for entry in entries:
        if entry.object_key in behind:
            return items, reached
        # Popped, since the index may list one key twice for a moment after its result was renewed.
        item = _item(stored.pop(entry.object_key or "", None), needs, with_images=with_images)
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


def _walk(start: Place, limit: int, needs: Needs, *, until_s: float) -> Found:
    """Entries of the index from `start` on, in order, at most `limit`."""
    entries: list[Place] = []
    with ThreadPoolExecutor(max_workers=PARALLEL_DAYS) as pool:
        for days in _groups_of_days(start.day, needs.config.first_day):
            if len(entries) >= limit or ((entries or days[0] != start.day) and time.monotonic() > until_s):
                return Found(entries=entries[:limit], more=_after(entries, limit, days[0]))
            starts = [start if day == start.day else Place(day=day) for day in days]
            for part in pool.map(lambda place: _day(place, limit + 1, needs), starts):
                entries += part
    return Found(entries=entries[:limit], more=entries[limit - 1] if len(entries) > limit else None)


def _after(entries: list[Place], limit: int, day: date) -> Place:
    """The last entry shown if some are left over, else the start of the first day not looked at."""
    return entries[limit - 1] if len(entries) > limit else Place(day=day)


def _groups_of_days(newest: date, oldest: date) -> Iterator[list[date]]:
    """All days from `newest` back to `oldest`, a few at a time."""
    count = (newest - oldest).days + 1
    for done in range(0, count, PARALLEL_DAYS):
        size = min(PARALLEL_DAYS, count - done)
        yield [newest - timedelta(days=done + further) for further in range(size)]


def _day(place: Place, limit: int, needs: Needs) -> list[Place]:
    """The newest entries of one day, at most `limit`, after `place`."""
    query: QueryInputTypeDef = {
        "TableName": needs.config.table,
        "IndexName": needs.config.index,
        "KeyConditionExpression": "#day = :day",
        "ExpressionAttributeNames": {"#day": "day"},
        "ExpressionAttributeValues": to_attributes({":day": place.day.isoformat()}),
        "ScanIndexForward": False,
        "Limit": limit,
    }
    if place.object_key is not None:
        query["ExclusiveStartKey"] = to_attributes(
            {"day": place.day.isoformat(), "analyzedAt": place.analyzed_at, "objectKey": place.object_key}
        )
    rows = [from_attributes(row) for row in needs.dynamodb.query(**query)["Items"]]
    return [Place(day=place.day, analyzed_at=row["analyzedAt"], object_key=row["objectKey"]) for row in rows]


def _read(
    entries: list[Place], needs: Needs, *, until_s: float
) -> tuple[dict[str, dict[str, AttributeValueTypeDef]], set[str]]:
    """The stored items by key, and the keys that DynamoDB did not get to in time.

    BatchGetItem answers with at most 16 MB and leaves the rest "unprocessed", under a 200.
    """
    table = needs.config.table
    stored: dict[str, dict[str, AttributeValueTypeDef]] = {}
    # Once each: DynamoDB refuses a list "that contains duplicates".
    unique = dict.fromkeys(entry.object_key for entry in entries)
    keys: list[dict[str, Any]] = [to_attributes({"objectKey": key}) for key in unique]
    while keys:
        answer = needs.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        stored |= {item["objectKey"]["S"]: item for item in answer["Responses"].get(table, [])}
        unprocessed = answer.get("UnprocessedKeys", {}).get(table)
        keys = list(unprocessed["Keys"]) if unprocessed else []
        if keys and time.monotonic() > until_s:
            break
        if keys:
            time.sleep(PAUSE_S)
    return stored, {key["objectKey"]["S"] for key in keys}


def _item(
    attributes: dict[str, AttributeValueTypeDef] | None, needs: Needs, *, with_images: bool
) -> dict[str, Any] | None:
    item = shown(attributes)
    if item is None or not with_images:
        return item
    return {**item, "imageUrl": signed_link(needs.s3, needs.config.bucket, item)}
