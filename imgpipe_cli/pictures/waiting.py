"""Waiting for results that are still to come, and which of them are the last word."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from imgpipe_cli.pictures.api import PAGE, Api, ApiUnavailable
from imgpipe_cli.pictures.pace import Pace
from imgpipe_cli.session.times import earlier, iso

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# One by one, where the API has no question about several: so many at once, and so many in place of its list.
_SIDE_BY_SIDE = 16
_FEW = 4
# Mostly all results are there by then; what takes longer is asked after now and then.
_ASK_EVERY_S = 5.0
# The index by time follows the table after a moment, and the clocks of functions differ.
_OVERLAP_S = 5.0
_OVERLAP_EVERY_S = 2.0
# A picture that the list does not show for so long is asked for by its key, again and again.
_LATE_AFTER_S = 10.0
_LATE_EVERY_S = 5.0
_LATE_AT_MOST_S = 60.0
# So far the clocks of this machine and of AWS may be apart: AWS takes no signature beyond it.
_CLOCKS_APART = timedelta(minutes=15)
_EMPTY_PAGES = 8
_IDLE_S = 0.1
# Well over the three minutes that Lambda's own tries take.
TRIED_FOR = timedelta(minutes=10)


@dataclass
class _Expected:
    """version: None where the bucket has none. ask_at: when it is asked for by its key, on the clock; after
    pause_s once more."""

    version: str | None
    ask_at: float
    pause_s: float = _LATE_AFTER_S


class Waiter:
    """Waits for the results of pictures: exactly those versions, never older ones.

    Up to 100 pictures are asked for by their keys, all in one request. More are looked for in the list of
    newest results: each look reads back to the newest one that the look before has seen, and every 2 s to 5 s
    before it. A picture that the list does not show within 10 s is asked for by its key.

    `expect` and `close` may be called from another thread while `wait` waits.
    """

    def __init__(
        self,
        api: Api,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        on_silence: Callable[[ApiUnavailable], None] = lambda _error: None,
    ) -> None:
        """on_silence: told of each look without an answer; it may raise why there will be none."""
        self._api = api
        self._on_silence = on_silence
        self._sleep = sleep
        self._clock = clock
        self._pace = Pace(sleep, clock)
        self._new: deque[tuple[str, str | None, bool]] = deque()
        self._closed = False
        self._pending: dict[str, _Expected] = {}
        # Of older pipelines it is known with the first answer.
        self._takes_keys = api.has_token
        self._seen: str | None = None
        self._overlap_at = 0.0
        self._late_at = 0.0

    def expect(self, key: str, version: str | None, *, is_old: bool = False) -> None:
        """Wait for this picture too. is_old: its result may have been there for long."""
        self._new.append((key, version, is_old))

    def expect_all(self, versions: Mapping[str, str | None]) -> None:
        """Wait for these pictures and no more; key -> version. Their results may have been there for long."""
        for key, version in versions.items():
            self.expect(key, version, is_old=True)
        self.close()

    def close(self) -> None:
        """No more pictures will come."""
        self._closed = True

    def wait(
        self,
        on_result: Callable[[ResultItem], None],
        *,
        timeout_s: float,
        is_over: Callable[[str, str | None], bool] = lambda _key, _version: False,
    ) -> list[str]:
        """Call on_result once for each key as its result arrives; the keys still pending at the end.

        timeout_s: seconds without a new picture or result, once no more pictures will come. is_over: tells
        of a key and version that take long that no result will come any more; then it is not waited for.
        Raises ApiUnavailable where the API is gone, and Problem.
        """
        progress_at = self._clock()
        over_at = progress_at + _ASK_EVERY_S
        while True:
            closed = self._closed  # before taking in what came until then
            if self._take_in():
                progress_at = self._clock()
            if not self._pending:
                if closed:
                    return []
                self._sleep(_IDLE_S)
                continue
            until = progress_at + timeout_s if closed else math.inf
            self._pace.turn(until)
            if self._look(on_result, until):
                progress_at = self._clock()
            if self._clock() >= over_at and len(self._pending) <= _FEW:
                for key, expected in list(self._pending.items()):
                    if is_over(key, expected.version):
                        del self._pending[key]
                over_at = self._clock() + _ASK_EVERY_S
            if self._pending and closed and self._clock() >= progress_at + timeout_s:
                return list(self._pending)

    def _take_in(self) -> bool:
        """Whether pictures have come since."""
        any_came = bool(self._new)
        now = self._clock()
        while self._new:
            key, version, is_old = self._new.popleft()
            self._pending[key] = _Expected(version, now if is_old else now + _LATE_AFTER_S)
        return any_came

    def _look(self, on_result: Callable[[ResultItem], None], until: float) -> bool:
        """Whether a result came. A fault that passes ends the look; the next one reads the same again."""
        came = 0
        try:
            for item in self._found(until):
                expected = self._pending.get(item["objectKey"])
                if expected is not None and is_final(item, expected.version):
                    del self._pending[item["objectKey"]]
                    came += 1
                    self._pace.came(1)
                    on_result(item)
            self._pace.answered(well=True)
        except ApiUnavailable as error:
            if error.status in (403, 404):
                raise
            self._pace.answered(well=False)
            self._on_silence(error)
        return came > 0

    def _found(self, until: float) -> Iterator[ResultItem]:
        if not self._api.has_token:
            asked = nsmallest(_SIDE_BY_SIDE, self._pending, key=lambda key: self._pending[key].ask_at)
            yield from self._late(asked)
            return
        if len(self._pending) <= (PAGE if self._takes_keys else _FEW):
            items, _ = self._by_key(list(self._pending))
            yield from items
            # What is stored from now on is newer, so a list read later need not reach further back.
            self._seen = max((item["analyzedAt"] for item in items), default=self._seen)
            return
        if not self._takes_keys:
            yield from self._newest(until)
            yield from self._overdue(until)
            return
        # First those that are due: the list may begin long after them.
        yield from self._overdue(until)
        if any(expected.ask_at > self._clock() for expected in self._pending.values()):
            yield from self._newest(until)

    def _overdue(self, until: float) -> Iterator[ResultItem]:
        """What is found under the keys that are due; one request after the other while they find some."""
        while asked := self._due():
            self._pace.further(until)
            items = self._late(asked)
            if not items:
                self._late_at = self._clock() + _LATE_EVERY_S
            yield from items

    def _due(self) -> list[str]:
        """Keys to ask for now, as many as one request takes: those sent first, as they are analyzed first."""
        now = self._clock()
        if now < self._late_at:
            return []
        due = (key for key, expected in self._pending.items() if expected.ask_at <= now)
        return list(islice(due, PAGE if self._takes_keys else _SIDE_BY_SIDE))

    def _late(self, keys: list[str]) -> list[ResultItem]:
        """The results that there are; each key that was answered then waits longer than the last time."""
        items, rest = self._by_key(keys)
        now = self._clock()
        for key in set(keys).difference(rest):
            expected = self._pending[key]
            expected.ask_at = now + expected.pause_s
            expected.pause_s = min(expected.pause_s * 2, _LATE_AT_MOST_S)
        return items

    def _by_key(self, keys: list[str]) -> tuple[list[ResultItem], Sequence[str]]:
        """The results there are, and the keys that the answer had no room for."""
        found: Iterable[ResultItem | ApiUnavailable | None]
        if self._takes_keys:
            try:
                answer = self._api.by_key(keys)
                return list(answer.items), answer.rest
            except ApiUnavailable as error:
                if error.status != 404:
                    raise
                # The pipeline is older than this question, or gone: then the next one says so.
                self._takes_keys = False
        found = self._api.many(keys[:_SIDE_BY_SIDE]).values()
        return [one for one in found if isinstance(one, Mapping)], keys[_SIDE_BY_SIDE:]

    def _newest(self, until: float) -> Iterator[ResultItem]:
        """The list from its top to where the look before has begun; now and then 5 s further."""
        seen = self._seen or ""
        overlap = earlier(seen, _OVERLAP_S) if seen and self._clock() >= self._overlap_at else seen
        newest, after, empty = "", None, 0
        self._pace.further(until)
        while self._pending and empty < _EMPTY_PAGES:
            items, after = self._api.results(after=after)
            yield from items
            # A page may be empty although more follows.
            empty = 0 if items else empty + 1
            last = items[-1]["analyzedAt"] if items else ""
            if items:
                newest = max(newest, items[0]["analyzedAt"])
            if after is None or (items and (not seen or last < overlap)):
                break
            if not items or last >= seen:
                self._pace.further(until)
            elif not self._pace.extra():
                break
        if overlap < seen:
            self._overlap_at = self._clock() + _OVERLAP_EVERY_S
        # Only now: had a page failed, the next look would have to reach as far as this one.
        self._seen = max(newest, seen or iso(datetime.now(UTC) - _CLOCKS_APART))


def is_final(item: ResultItem, version_id: str | None) -> bool:
    """True if this is the result of that version, and not one that will be tried again."""
    return version_id in (None, item.get("versionId")) and not _tries_left(item)


def is_retrying(item: ResultItem, now: datetime | None = None) -> bool:
    """True while a failed picture may still get another try: Lambda's two come one and two minutes later.

    A try that is stopped before it stores anything is not counted; what is older than that stays as it is.
    """
    if not _tries_left(item):
        return False
    age = (now or datetime.now(UTC)) - datetime.fromisoformat(item["analyzedAt"])
    return age < TRIED_FOR


def _tries_left(item: ResultItem) -> int:
    """How many more tries may follow by themselves. An older pipeline does not tell."""
    error = item.get("error")
    return error.get("triesLeft", 1) if error and error.get("retryable") else 0
