"""How often the API is asked while results are waited for."""

from __future__ import annotations

from collections.abc import Callable

# A picture alone is analyzed within seconds; whoever waits longer waits for many.
_QUICK_FOR_S = 5.0
_QUICK_PAUSE_S = 0.2
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 4.0
_RESULTS_PER_EXTRA = 50


class Pace:
    """5 requests a second in the first 5 s, then 2, and one more for each 50 results.

    sleep and clock are arguments so that tests wait for nothing.
    """

    def __init__(self, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._sleep = sleep
        self._clock = clock
        self._began: float | None = None
        self._next = 0.0
        self._results = 0
        self._failures = 0
        self._is_free = False

    def turn(self, until: float) -> None:
        """Wait until a request may be sent, but not beyond `until` (on the clock)."""
        now = self._clock()
        if self._began is None:
            self._began = self._next = now
        if (pause_s := min(self._next, until) - now) > 0:
            self._sleep(pause_s)
            now = self._clock()
        self._next = now + self._pause_s(now - self._began)
        self._is_free = True

    def further(self, until: float) -> None:
        """The same for each request of a look, which need not wait where results have come."""
        if not self.extra():
            self.turn(until)
            self._is_free = False

    def extra(self) -> bool:
        """Whether a request may be sent at once: that of the turn, or one for the results that have come."""
        if self._is_free:
            self._is_free = False
            return True
        if self._results < _RESULTS_PER_EXTRA:
            return False
        self._results -= _RESULTS_PER_EXTRA
        return True

    def came(self, results: int) -> None:
        """So many results have come."""
        self._results += results

    def answered(self, *, well: bool) -> None:
        """An API that is too busy to answer is asked less and less often."""
        self._failures = 0 if well else self._failures + 1

    def _pause_s(self, waited_s: float) -> float:
        pause_s = _QUICK_PAUSE_S if waited_s < _QUICK_FOR_S else _PAUSE_S
        return float(min(pause_s * 2 ** min(self._failures, 5), _LONGEST_PAUSE_S))
