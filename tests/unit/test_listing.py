"""Results newest first: what is picked, and that nothing more is read than needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from imgpipe_cli.pictures.listing import Wanted, filtered, matching, pages, status_of
from imgpipe_cli.session.times import iso
from shared.result_item import ResultItem
from tests.support.api_server import failed, item

LABELS = [
    {"Name": "Cat", "Confidence": 91.0},
    {"Name": "Mobile Phone", "Confidence": 80.0, "Aliases": [{"Name": "Cell Phone"}]},
]


class Stored:
    """Pages of results; counts those that were asked for."""

    def __init__(self, *found: Sequence[ResultItem]) -> None:
        self._pages = found
        self.asked = 0

    def results(self, *, limit: int, after: str | None) -> tuple[list[ResultItem], str | None]:
        assert limit == 100
        self.asked += 1
        place = int(after or 0)
        following = place + 1
        return list(self._pages[place]), str(following) if following < len(self._pages) else None

    def keys(self, wanted: Wanted | None = None, limit: int = 0) -> list[str]:
        found = matching(pages(self, 100), wanted or Wanted(), limit)
        return [str(one["objectKey"]) for one in found]


def at(minute: int) -> str:
    return f"2026-11-22T10:{minute:02}:00.000Z"


def test_all_pages_are_read_when_all_is_asked_for_also_after_an_empty_one() -> None:
    assert Stored([item("a")], [], [item("b")]).keys() == ["a", "b"]


def test_at_the_limit_no_further_page_is_asked_for() -> None:
    stored = Stored([item("a"), item("b")], [item("c")])
    assert stored.keys(limit=2) == ["a", "b"]
    assert stored.asked == 1


def test_at_the_first_older_result_no_further_page_is_asked_for() -> None:
    stored = Stored([item("a", at=at(9)), item("b", at=at(5))], [item("c", at=at(1))])
    assert stored.keys(Wanted(since=at(6))) == ["a"]
    assert stored.asked == 1


def test_a_picture_that_moved_up_meanwhile_is_told_once() -> None:
    stored = Stored([item("a", at=at(9)), item("b", at=at(8))], [item("a", at=at(2))])
    assert stored.keys() == ["a", "b"]


def test_a_prefix_and_a_status_pick_results() -> None:
    now = iso(datetime.now(UTC))
    stored = Stored(
        [
            item("in/a"),
            failed("in/b", retryable=False),
            failed("in/c", retryable=True, analyzedAt=now),
            item("out/d"),
        ]
    )
    assert stored.keys(Wanted(prefix="in/")) == ["in/a", "in/b", "in/c"]
    assert stored.keys(Wanted(status="failed")) == ["in/b"]
    assert stored.keys(Wanted(status="retrying")) == ["in/c"]
    assert stored.keys(Wanted(status="done", prefix="out")) == ["out/d"]


def test_a_failure_whose_tries_are_long_over_is_failed() -> None:
    assert status_of(failed("a", retryable=True, at="2020-01-01T00:00:00.000Z")) == "failed"
    now = iso(datetime.now(UTC))
    assert status_of(failed("a", retryable=True, tries_left=1, analyzedAt=now)) == "retrying"
    assert status_of(failed("a", retryable=True, tries_left=0, analyzedAt=now)) == "failed"


@pytest.mark.parametrize(
    ("label", "min_confidence", "there"),
    [
        ("cat", 70, True),
        ("CAT", 91, True),
        ("cat", 92, False),
        ("cell phone", 70, True),
        ("phone", 70, False),
        ("dog", 0, False),
    ],
)
def test_a_label_counts_by_any_of_its_names_from_a_confidence_on(
    label: str, min_confidence: float, there: bool
) -> None:
    stored = Stored([item("a", labels=LABELS)])
    assert stored.keys(Wanted(label=label, min_confidence=min_confidence)) == (["a"] if there else [])


def test_filtering_leaves_the_stored_item_alone() -> None:
    label = {"Name": "Cat", "Confidence": 60.0}
    stored = item("a", labels=[label, {"Name": "Dog", "Confidence": 80.0}], faces=[{"Confidence": 70.0}])
    shown = filtered(stored, 70.0)
    assert [one["Name"] for one in shown["labels"]] == ["Dog"]
    assert len(shown["faces"]) == 1
    assert "text" not in shown
    assert len(stored["labels"]) == 2
