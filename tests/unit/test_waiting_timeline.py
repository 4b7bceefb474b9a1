"""How soon results are shown, and for how many requests, on a clock of our own.

The API has a timeline: when each result is stored, and when the list by time shows it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from imgpipe_cli.pictures.api import PAGE, Api, ApiUnavailable, ByKey
from imgpipe_cli.pictures.waiting import Waiter
from imgpipe_cli.session.times import iso
from shared.result_item import ResultItem
from tests.support.api_server import Clock, item

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
REQUEST_S = 0.05


@dataclass(frozen=True)
class Arrival:
    """Seconds from the start: when a result is stored, and when the list shows it."""

    item: ResultItem
    stored_s: float
    listed_s: float


@dataclass
class TimelineApi:
    """Answers as the pipeline would at that time; each request takes time too."""

    clock: Clock
    arrivals: Sequence[Arrival]
    fails: Callable[[int], bool] = lambda _number: False
    asked_s: list[float] = field(default_factory=list)
    results_read: int = 0
    has_token: bool = True

    def _request(self) -> None:
        self.asked_s.append(self.clock.now)
        self.clock.now += REQUEST_S
        if self.fails(len(self.asked_s)):
            raise ApiUnavailable("HTTP 503", status=503)

    def results(self, *, limit: int = PAGE, after: str | None = None) -> tuple[list[ResultItem], str | None]:
        self._request()
        names = {
            f"{one.item['analyzedAt']} {one.item['objectKey']}": one.item
            for one in self.arrivals
            if one.listed_s <= self.clock.now
        }
        newest = [name for name in sorted(names, reverse=True) if after is None or name < after]
        page = newest[:limit]
        self.results_read += len(page)
        return [names[name] for name in page], page[-1] if len(newest) > limit else None

    def by_key(self, keys: Sequence[str]) -> ByKey:
        self._request()
        there = {one.item["objectKey"]: one.item for one in self.arrivals if one.stored_s <= self.clock.now}
        self.results_read += len(there.keys() & set(keys))
        return ByKey([there[key] for key in keys if key in there], [k for k in keys if k not in there], [])


def timeline(count: int, per_second: float) -> list[Arrival]:
    """Analyzed at that rate, the first after 2 s; the list follows a moment later, seldom three seconds."""
    chance = random.Random(7)
    arrivals = []
    for number in range(count):
        stored_s = 2 + number / per_second
        late_s = chance.random() * 0.3 + (3 if chance.random() < 0.005 else 0)
        at = iso(START + timedelta(seconds=stored_s - chance.random() * 0.1))
        arrivals.append(Arrival(item(f"{number:06}.jpg", at=at), stored_s, stored_s + late_s))
    return arrivals


@dataclass(frozen=True)
class Shown:
    """lags_s: seconds from stored to shown, the longest last."""

    lags_s: list[float]
    pending: list[str]
    api: TimelineApi

    @property
    def mean_s(self) -> float:
        return sum(self.lags_s) / len(self.lags_s)

    @property
    def p99_s(self) -> float:
        return self.lags_s[-(-99 * len(self.lags_s) // 100) - 1]


def wait(arrivals: list[Arrival], fails: Callable[[int], bool] = lambda _number: False) -> Shown:
    """Wait from the first picture on; 100 a second are sent."""
    clock = Clock()
    api = TimelineApi(clock, arrivals, fails)
    waiter = Waiter(cast("Api", api), sleep=clock.sleep, clock=clock)
    stored_s = {one.item["objectKey"]: one.stored_s for one in arrivals}
    to_send = list(stored_s)
    lags_s: list[float] = []

    def send() -> None:
        while to_send and (len(stored_s) - len(to_send)) / 100 <= clock.now:
            waiter.expect(to_send.pop(0), "v1")
        if not to_send:
            waiter.close()

    def on_result(one: Any) -> None:
        lags_s.append(clock.now - stored_s[one["objectKey"]])

    clock.each = send
    send()
    pending = waiter.wait(on_result, timeout_s=60)
    return Shown(sorted(lags_s), pending, api)


@pytest.mark.parametrize(
    ("count", "per_second"), [(1, 1), (100, 20), (1000, 5), (1000, 20), (1000, 50), (3000, 50)]
)
def test_results_are_shown_half_a_second_after_they_are_stored(count: int, per_second: float) -> None:
    shown = wait(timeline(count, per_second))
    assert (len(shown.lags_s), shown.pending) == (count, [])
    assert shown.mean_s <= 0.5
    assert shown.p99_s <= 2
    # 5 requests a second for 5 s, then 2, and one for 50 results.
    asked_s = shown.api.asked_s
    assert len(asked_s) <= 1 + 5 * 5 + 2 * max(asked_s[-1] - 5, 0) + count / 50


def test_an_answer_that_fails_now_and_then_loses_nothing() -> None:
    shown = wait(timeline(1000, 50), fails=lambda number: number % 7 == 0)
    assert (len(shown.lags_s), shown.pending) == (1000, [])
    assert shown.p99_s <= 2


def test_the_list_is_never_read_from_its_top_to_its_end_again() -> None:
    """Each result is read some times over: at 50 a second, a page reaches 2 s back."""
    shown = wait(timeline(3000, 50))
    assert shown.api.results_read <= 6 * 3000
