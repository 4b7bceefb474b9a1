"""The pages of a search and of a list while results come and go between them.

Of a picture whose result stands the whole time, no page may leave it out, and no two may show it.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.index_rows import certainties, folded, label_pk, name_pk, text_pk, words
from shared.results import shown
from tests.lambda_src.test_web_find import killed_before, label, line, store
from tests.support import exhaustive
from tests.support.function_cloud import NOW
from web import app
from web.needs import PageLimits

if TYPE_CHECKING:
    from shared.result_item import ResultItem
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

SEEDS = 60
ALIASES = {"Mobile Phone": "Cell Phone", "Couch": "Sofa"}
PARENTS = {"Cat": "Animal", "Dog": "Animal"}
LABELS = ("Cat", "Dog", "Mobile Phone", "Couch", "Sofa", "Sea")
ASKED = ("cat", "Animal", "CELL phone", "sofa", "sea")
WORDS = ("one", "two", "three")


class Collection:
    """Pictures of a seed, and how they change. touched: those that did."""

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self.cloud, self.seed, self.chance = cloud, seed, random.Random(seed)
        self.keys = [
            f"{seed}/{self.chance.choice('ab')}/{self.chance.choice(WORDS)} {number}.jpg"
            for number in range(24)
        ]
        self.results: dict[str, ResultItem] = {}
        self.touched: set[str] = set()
        for key in self.keys[:18]:
            self._analyze(key)
            self._note(key)

    def _analyze(self, key: str) -> None:
        chance = self.chance
        self.cloud.now += timedelta(milliseconds=chance.choice((0, 1, 1, 30_000_000)))
        at = self.cloud.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found = [
            label(
                name,
                chance.choice((50, 70, 75.5, 99.99, 100, chance.uniform(50, 100))),
                Parents=[{"Name": PARENTS[name]}] if name in PARENTS else [],
                Aliases=[{"Name": ALIASES[name]}] if name in ALIASES else [],
            )
            for name in chance.sample(LABELS, chance.randrange(4))
        ]
        text = [line(" ".join(chance.sample(WORDS, 2)), chance.uniform(50, 100)) for _ in range(2)]
        status = chance.choice(("done", "done", "failed"))
        store(self.cloud, key, *found, text=text, status=status, analyzedAt=at, day=at[:10])

    def _remove(self, key: str) -> None:
        mark: Any = {"objectKey": key, "status": "removed", "sequencer": "1" * 32}
        self.cloud.result_store.replace(mark, seen=self.cloud.result_store.read(key))

    def change(self) -> None:
        """Some come, go and are analyzed again, and the function is stopped at times."""
        for _ in range(self.chance.randrange(4)):
            key = self.chance.choice(self.keys)
            with killed_before(self.cloud, self.chance.choice((0, 0, self.chance.randrange(1, 9)))):
                self.chance.choice((self._analyze, self._analyze, self._remove))(key)
            self._note(key)

    def _note(self, key: str) -> None:
        self.touched.add(key)
        stored: Any = self.cloud.stored(key)
        item = shown(stored) if stored else None
        self.results.pop(key, None)
        self.results |= {key: item} if item else {}

    def query(self) -> dict[str, Any]:
        chance = self.chance
        asked = {
            "label": chance.sample(ASKED, chance.choice((0, 1, 1, 2, 3))),
            "any": chance.choice(("true", "true", "false")),
            "text": chance.choice(("", "", "", "one", "two one")),
            "name": chance.choice(("", "", "", "one", f"{self.seed} jpg")),
            "status": chance.choice(("", "", "", "done", "failed")),
            "prefix": chance.choice((f"{self.seed}/", f"{self.seed}/", f"{self.seed}/a/")),
            "min_confidence": chance.choice(("", "", "0", "70", "99.99")),
            "with_label": chance.choice(("", "", "", "", chance.choice(ASKED))),
        }
        return {name: value for name, value in asked.items() if value}


def matches(item: ResultItem, query: dict[str, Any]) -> bool:
    """As the reference says it, by reading the result alone."""
    certain = certainties(item)
    least = float(query.get("min_confidence", 0))

    def has(name: str) -> bool:
        meant = [name, *(one for one, other in ALIASES.items() if folded(other) == folded(name))]
        return any(certain.get(label_pk(one), -1.0) >= least for one in meant)

    labels = list(map(has, query.get("label", ())))
    return (
        (not labels or (any(labels) if query.get("any") == "true" else all(labels)))
        and all(certain.get(text_pk(word), -1.0) >= least for word in words(query.get("text", "")))
        and all(name_pk(word) in certain for word in words(query.get("name", "")))
        and query.get("status", item["status"]) == item["status"]
        and item["objectKey"].startswith(query["prefix"])
        and ("with_label" not in query or has(query["with_label"]))
    )


@pytest.mark.loops
@pytest.mark.timeout(3_600)
def test_pictures_that_stand_are_shown_once_whatever_comes_and_goes(
    call: Call, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.finding._ROWS", 2)
    monkeypatch.setattr("web.finding._AT_ONCE", 2)
    monkeypatch.setattr("web.finding.NARROW", 6)
    monkeypatch.setattr("web.search.NARROW", 6)
    limits = (PageLimits(), PageLimits(walk_s=-1), PageLimits(answer_bytes=1))
    for seed in exhaustive.points(SEEDS, keep=2):
        cloud.page_limits = limits[seed % 3]
        pictures = Collection(cloud, seed)
        for _ in range(6):
            _walk(call, pictures)


def _walk(call: Call, pictures: Collection) -> None:
    query, limit = pictures.query(), pictures.chance.choice((1, 2, 5))
    pictures.touched.clear()
    seen: list[str] = []
    after: dict[str, str] = {}
    asked = f"seed {pictures.seed}: {query}, {limit} at a time"
    for _ in range(200):
        results = dict(pictures.results)
        needs = pictures.cloud.web(first_day=NOW.date())
        answer = call(app.serve, needs, "GET /results", {**query, "limit": limit, **after})
        assert answer.status == 200, (asked, answer.json)
        page = [item["objectKey"] for item in answer.json["items"]]
        assert len(page) <= limit
        assert all(key in results and matches(results[key], query) for key in page), asked
        seen += page
        if answer.json["next"] is None:
            break
        after = {"after": answer.json["next"]}
        pictures.change()
    else:
        raise AssertionError("the pages never end")
    stand = {key for key, item in results.items() if key not in pictures.touched and matches(item, query)}
    assert stand <= set(seen), asked
    assert all(seen.count(key) == 1 for key in stand), asked
