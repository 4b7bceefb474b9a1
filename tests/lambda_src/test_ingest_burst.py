"""A burst of pictures: the real rules of the ingest function in many threads at once, on a fast clock.

Lambda's part is played: as many runs at once as it may have, an event that failed comes back after one and
after two minutes, and is then in the failure queue. S3 and the store are memory; nothing waits for real time.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.local.rekognition.faults import Faults, FaultSwitch
from imgpipe_cli.session.settings import Settings
from ingest.app import Unfinished, serve
from ingest.work import Needs
from shared import log
from shared.result_item import Stored
from tests.support.function_cloud import ANSWERS, NOW
from tests.support.index_table import EverythingPermitted
from tests.support.picture_heads import jpeg

PICTURES = 1_000
TPS = 1.0
UNCAPPED = 200
# A run whose call is answered at once takes so long, as the cap assumes.
RUN_S = 0.6
# Lambda's pauses before the second and the third try.
PAUSES_S = (60.0, 120.0)


@pytest.fixture(autouse=True)
def about_nothing() -> Iterator[None]:
    """In Lambda one process works on one event, so its threads share what a line of the log is about."""
    yield
    log._about.clear()


class FastClock:
    """Seconds for many threads, of which one runs at a time: time passes when it sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._asleep: list[tuple[float, int, threading.Lock]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        mine = self._lie_down(seconds)
        self._wake_next()
        mine.acquire()

    def run(self, works: list[Callable[[], None]]) -> None:
        """All of these side by side, each in a thread, to their end."""
        threads = [threading.Thread(target=self._begin, args=(work, self._lie_down(0))) for work in works]
        for thread in threads:
            thread.start()
        self._wake_next()
        for thread in threads:
            thread.join()

    def _begin(self, work: Callable[[], None], mine: threading.Lock) -> None:
        with mine:
            try:
                work()
            finally:
                self._wake_next()

    def _lie_down(self, seconds: float) -> threading.Lock:
        mine = threading.Lock()
        mine.acquire()
        heapq.heappush(self._asleep, (self.now + seconds, next(self._numbers), mine))
        return mine

    def _wake_next(self) -> None:
        if self._asleep:
            self.now, _, lock = heapq.heappop(self._asleep)
            lock.release()


class Store:
    """Results in memory."""

    def __init__(self) -> None:
        self.items: dict[str, Stored] = {}

    def read(self, key: str) -> Stored | None:
        return self.items.get(key)

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        fits = self.items.get(item["objectKey"]) == seen
        if fits:
            self.items[item["objectKey"]] = item
        return fits


class Pictures:
    """S3 with one picture under every key."""

    data = jpeg()

    def get_object(self, **_asked: Any) -> dict[str, Any]:
        return {
            "Body": io.BytesIO(self.data),
            "ContentLength": len(self.data),
            "ETag": '"e"',
            "VersionId": "v",
        }


@dataclass
class Burst:
    """runs: how many there are at once, at most. lost: how many events are in the failure queue. ended: when
    each picture had its result."""

    runs: int
    tps: float = TPS
    run_s: float = RUN_S
    clock: FastClock = field(default_factory=FastClock)
    store: Store = field(default_factory=Store)
    calls: int = 0
    lost: int = 0
    function_s: float = 0.0
    ended: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._limit = FaultSwitch(clock=self.clock)
        self._limit.turn(Faults(tps=self.tps))
        self._left = PICTURES
        self._waiting = [(0.0, number, 0) for number in range(PICTURES)]
        rekognition: Any = SimpleNamespace(detect_labels=self._detect_labels)
        s3: Any = Pictures()
        self._needs = Needs(
            features=("labels",),
            store=self.store,
            s3=s3,
            rekognition=rekognition,
            permits=EverythingPermitted(),
            now=lambda: NOW,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def until_all_have_ended(self) -> Burst:
        self.clock.run([self._work] * self.runs)
        return self

    def _detect_labels(self, **_asked: Any) -> Mapping[str, Any]:
        self.calls += 1
        if error := self._limit.injected("DetectLabels"):
            raise ClientError({"Error": {"Code": error.code, "Message": error.message}}, "DetectLabels")
        self.clock.sleep(self.run_s)
        return ANSWERS["DetectLabels"]

    def _work(self) -> None:
        """One place for runs: takes what is due, until nothing can come any more."""
        while self._left:
            if not self._waiting or self._waiting[0][0] > self.clock.now:
                self.clock.sleep(5)
                continue
            _, number, failures = heapq.heappop(self._waiting)
            began = self.clock.now
            try:
                serve(_event(number), None, self._needs)
                self._left -= 1
                self.ended.append(self.clock.now)
            except Unfinished:
                self._failed(number, failures)
            self.function_s += self.clock.now - began

    def _failed(self, number: int, failures: int) -> None:
        if failures == len(PAUSES_S):
            self.lost += 1
            self._left -= 1
        else:
            heapq.heappush(self._waiting, (self.clock.now + PAUSES_S[failures], number, failures + 1))


def _event(number: int) -> dict[str, Any]:
    thing = {"key": f"{number}.jpg", "size": 1, "eTag": "e", "versionId": "v", "sequencer": f"{number:016X}"}
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-22T18:30:00.000Z",
        "s3": {"bucket": {"name": "b"}, "object": thing},
    }
    return {"Records": [record]}


@pytest.fixture
def known_chances() -> Iterator[None]:
    """The same pauses in every run of the test."""
    before = random.getstate()
    random.seed(1)
    yield
    random.setstate(before)


def burst(runs: int, tps: float = TPS, run_s: float = RUN_S) -> Burst:
    with contextlib.redirect_stdout(io.StringIO()):  # the function's log
        return Burst(runs, tps, run_s).until_all_have_ended()


@pytest.mark.usefixtures("known_chances")
def test_without_a_cap_a_burst_overflows_the_failure_queue() -> None:
    found = burst(UNCAPPED)
    assert found.lost > 0.3 * PICTURES
    done = [item for item in found.store.items.values() if item["status"] == "done"]
    assert len(done) == PICTURES - found.lost


@pytest.mark.usefixtures("known_chances")
def test_with_the_cap_none_is_lost() -> None:
    cap = Settings(rekognition_tps=TPS).cap
    assert cap is not None
    found = burst(cap)
    assert found.lost == 0
    assert {item["status"] for item in found.store.items.values()} == {"done"}
    assert len(found.store.items) == PICTURES


@pytest.mark.parametrize(("tps", "run_s"), [(2.0, RUN_S), (5.0, RUN_S), (2.0, 0.3), (5.0, 0.1)])
@pytest.mark.usefixtures("known_chances")
def test_with_the_cap_the_limit_is_used_and_few_calls_are_in_vain(tps: float, run_s: float) -> None:
    """Also where answers come at once, as on the local cloud."""
    cap = Settings(rekognition_tps=tps).cap
    assert cap is not None
    found = burst(cap, tps, run_s)
    assert found.lost == 0
    # A single picture may come back a minute later, which is no use of the limit.
    assert PICTURES / (found.ended[-10] * tps) >= 0.9
    assert found.calls <= 2 * PICTURES
    assert found.function_s <= 2 * PICTURES
