"""What `imgpipe find` asks for among 10,000 and 100,000 results: HTTP requests, rows and results read.

The client and the function are the real ones; the tables are lists in memory, so no time is measured.
"""

from __future__ import annotations

import json
import random
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "lambda_src")]

from imgpipe_cli.pictures.finding import FoundPages, Search  # noqa: E402
from imgpipe_cli.pictures.listing import pages  # noqa: E402
from shared.dynamo_types import from_attributes, to_attributes  # noqa: E402
from shared.http_api import parse_request  # noqa: E402
from shared.index_rows import entries, row_of  # noqa: E402
from web.index_reader import IndexReader  # noqa: E402
from web.listing import list_results  # noqa: E402
from web.needs import PageLimits  # noqa: E402
from web.pages import Read  # noqa: E402

COUNTS = (10_000, 100_000)
COMMON = [f"Thing {number}" for number in range(40)]
SEARCHES = {
    "a label of 30 pictures, all": (Search(("Rare",)), None),
    "a label of half the pictures, 1,000": (Search(("Often",)), 1000),
    "one of two frequent labels, 1,000": (Search(("Often", "Thing 1"), any_label=True), 1000),
    "a frequent and a rare label, all": (Search(("Often", "Rare")), None),
    "two frequent labels, 1,000": (Search(("Often", "Seldom")), 1000),
    "a word of the key, all": (Search(name="needle"), None),
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
    """The store of results; counts what it reads."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.read = 0

    def read_keys(self, keys: list[str], *, until_s: float) -> Read[str]:
        del until_s
        self.read += len(keys)
        return Read(items={key: self.items[key] for key in keys}, behind=set())


class Needs:
    """What the route needs."""

    def __init__(self, count: int) -> None:
        self.rows, self.results = Rows(), Results()
        self.index = IndexReader(dynamodb=self.rows, table="index")  # type: ignore[arg-type]
        self.config = type("Config", (), {"failed_index": "failed"})
        self.page_limits = PageLimits(walk_s=60, read_s=60)
        self.now = lambda: datetime.now(UTC)
        chance = random.Random(1)
        for number in range(count):
            self._store(number, chance)

    def _store(self, number: int, chance: random.Random) -> None:
        key = f"pics/{number:06}{' needle' if number % 1000 < 3 and number < 10_000 else ''}.jpg"
        names = [*chance.sample(COMMON, 8), *(["Often"] if number % 2 else [])]
        names += ["Seldom"] if number % 4 < 2 else []
        names += ["Rare"] if number < 60 and number % 2 else []
        labels = [{"Name": name, "Confidence": round(chance.uniform(70, 100), 3)} for name in names]
        item = {"objectKey": key, "status": "done", "analyzedAt": "", "sequencer": "", "labels": labels}
        self.results.items[key] = item
        for entry in entries(item):
            pk, sk = row_of(entry, key)
            self.rows.of[pk].append((sk, key))

    def sort(self) -> None:
        for rows in self.rows.of.values():
            rows.sort()


class Api:
    """The client's way to the route; counts the requests."""

    def __init__(self, needs: Needs) -> None:
        self.needs, self.requests = needs, 0

    def get(self, path: str, query: dict[str, Any]) -> tuple[int, Any]:
        self.requests += 1
        event = {"routeKey": f"GET {path}", "rawQueryString": urlencode(query, doseq=True)}
        answer = list_results(parse_request(event), self.needs)  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"])


def main() -> int:
    print(f"{'find':<40} {'results':>8} {'found':>6} {'requests':>9} {'rows read':>10} {'results read':>13}")
    fine = True
    for count in COUNTS:
        needs = Needs(count)
        needs.sort()
        for name, (search, limit) in SEARCHES.items():
            needs.rows.read = needs.results.read = 0
            api = Api(needs)
            source = FoundPages(api, search, left=limit)  # type: ignore[arg-type]
            found = 0
            for page in pages(source, 100):
                found += len(page)
                if limit and found >= limit:
                    break
            print(
                f"{name:<40} {count:>8,} {found:>6,} {api.requests:>9} {needs.rows.read:>10,} "
                f"{needs.results.read:>13,}"
            )
            fine = fine and api.requests <= 1 + found / 100
    print(f"Goal: at most 1 + found / 100 requests: {'met' if fine else 'MISSED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
