"""What `find` and `list --label` ask for among 10,000 and 100,000 results: requests, rows, results read.

The client and the function are the real ones; the tables are lists in memory, so no time is measured.
"""

from __future__ import annotations

import json
import random
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "lambda_src")]

from imgpipe_cli.pictures import api  # noqa: E402
from imgpipe_cli.pictures.finding import FoundPages, Search  # noqa: E402
from imgpipe_cli.pictures.listing import Pages, PatientPages, Wanted, pages  # noqa: E402
from shared.dynamo_types import from_attributes, to_attributes  # noqa: E402
from shared.http_api import parse_request  # noqa: E402
from shared.index_rows import entries, row_of  # noqa: E402
from web.cursor import Place  # noqa: E402
from web.index_reader import IndexReader  # noqa: E402
from web.listing import list_results  # noqa: E402
from web.needs import PageLimits  # noqa: E402
from web.pages import Found, Read  # noqa: E402

COUNTS = (10_000, 100_000)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
AT = "2026-11-22T00:00:00.000Z"
COMMON = [f"Thing {number}" for number in range(40)]
SEARCHES: dict[str, tuple[Search | Wanted, int | None]] = {
    "a label of 30 pictures, all": (Search(("Rare",)), None),
    "a label of half the pictures, 1,000": (Search(("Often",)), 1000),
    "one of two frequent labels, 1,000": (Search(("Often", "Thing 1"), any_label=True), 1000),
    "a frequent and a rare label, all": (Search(("Often", "Rare")), None),
    "two frequent labels, 1,000": (Search(("Often", "Seldom")), 1000),
    "a word of the key, all": (Search(name="needle"), None),
    "list: a label of 30 pictures, all": (Wanted(label="Rare"), None),
    "list: a label of half the pictures, 1,000": (Wanted(label="Often"), 1000),
}


class Rows:
    """The index table, as far as the reader asks it; counts what it reads."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.read = 0

    def query(self, **asked: Any) -> dict[str, Any]:
        values = from_attributes(asked["ExpressionAttributeValues"])
        rows = self.of.get(values[":pk"], [])
        first, last = bisect_left(rows, (values[":lower"], "")), bisect_right(rows, (values[":upper"], "~"))
        limit = asked.get("Limit", last - first)
        some = rows[first : min(last, first + limit)]
        self.read += len(some)
        more: dict[str, Any] = {"LastEvaluatedKey": {}} if first + limit < last else {}
        return {"Items": [to_attributes({"sk": sk, "key": key}) for sk, key in some], **more}

    def get_item(self, **_asked: Any) -> dict[str, Any]:
        return {}


class Results:
    """The store of results; counts what it reads. The list by time is in the order of the keys."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.keys_read = 0
        self.by_time: list[str] = []

    def read_keys(self, keys: list[str], *, until_s: float) -> Read[str]:
        del until_s
        self.keys_read += len(keys)
        return Read(items={key: self.items[key] for key in keys}, behind=set())

    def walk(self, start: Place, limit: int, *, until_s: float, failed: bool) -> Found:
        del until_s, failed
        first = bisect_right(self.by_time, start.object_key or "")
        some = self.by_time[first : first + limit]
        entries = [Place(day=NOW.date(), analyzed_at=AT, object_key=key) for key in some]
        return Found(entries=entries, more=entries[-1] if first + limit < len(self.by_time) else None)

    def read(self, entries: list[Place], *, until_s: float) -> Read[Place]:
        found = self.read_keys([entry.object_key or "" for entry in entries], until_s=until_s)
        return Read(items={entry: found.items[entry.object_key or ""] for entry in entries}, behind=set())


class Needs:
    """What the route needs."""

    def __init__(self, count: int) -> None:
        self.rows, self.results = Rows(), Results()
        self.index = IndexReader(dynamodb=self.rows, table="index")  # type: ignore[arg-type]
        self.config = type("Config", (), {"failed_index": "failed"})
        self.page_limits = PageLimits(walk_s=60, read_s=60)
        self.now = lambda: NOW
        chance = random.Random(1)
        for number in range(count):
            self._store(number, chance)

    def _store(self, number: int, chance: random.Random) -> None:
        key = f"pics/{number:06}{' needle' if number % 1000 < 3 and number < 10_000 else ''}.jpg"
        names = [*chance.sample(COMMON, 8), *(["Often"] if number % 2 else [])]
        names += ["Seldom"] if number % 4 < 2 else []
        names += ["Rare"] if number < 60 and number % 2 else []
        labels = [{"Name": name, "Confidence": round(chance.uniform(70, 100), 3)} for name in names]
        item = {"objectKey": key, "status": "done", "analyzedAt": AT, "sequencer": "", "labels": labels}
        self.results.items[key] = item
        for entry in entries(item):
            pk, sk = row_of(entry, key)
            self.rows.of[pk].append((sk, key))

    def sort(self) -> None:
        for rows in self.rows.of.values():
            rows.sort()
        self.results.by_time = sorted(self.results.items)


class Api(api.Api):
    """The client's way to the route; counts the requests."""

    def __init__(self, needs: Needs) -> None:
        super().__init__("http://127.0.0.1")
        self.needs, self.requests = needs, 0

    def get(self, path: str, query: Mapping[str, Any]) -> tuple[int, Any]:
        self.requests += 1
        event = {"routeKey": f"GET {path}", "rawQueryString": urlencode(query, doseq=True)}
        answer = list_results(parse_request(event), self.needs)  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"])


def main() -> int:
    print(f"{'find':<42} {'results':>8} {'found':>6} {'requests':>9} {'rows read':>10} {'results read':>13}")
    fine = True
    for count in COUNTS:
        needs = Needs(count)
        needs.sort()
        for name, (search, limit) in SEARCHES.items():
            needs.rows.read = needs.results.keys_read = 0
            route = Api(needs)
            source: Pages = (
                PatientPages(route, search)
                if isinstance(search, Wanted)
                else FoundPages(route, search, left=limit)
            )
            found = 0
            for page in pages(source, 100):
                found += len(page)
                if limit and found >= limit:
                    break
            print(
                f"{name:<42} {count:>8,} {found:>6,} {route.requests:>9} {needs.rows.read:>10,} "
                f"{needs.results.keys_read:>13,}"
            )
            fine = fine and route.requests <= 1 + found / 100
    print(f"Goal: at most 1 + found / 100 requests: {'met' if fine else 'MISSED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
