"""How long each reason to wait has been waited for, and how long the next pause is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
# What has taken more than half a minute is looked at less and less often: a pause of a part of the wait.
_PART_OF_WAIT = 15
_LONGEST_LATE_PAUSE_S = 5.0


class Pacing:
    """Reasons may take turns: the time of each counts on, until it begins anew."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing has been waited for: AWS took a change that is new."""
        self._waited_s: dict[str, float] = defaultdict(float)
        self._reason, self._since = "", 0.0
        self._pause_s = _FIRST_PAUSE_S

    def waited_s(self, reason: str) -> float:
        """How long, without the time since the last call of `wait_for`."""
        return self._waited_s[reason]

    def wait_for(self, reason: str) -> float:
        """How long it has been waited for by now. From now on it is what is waited for."""
        now = self._clock()
        if self._reason:
            self._waited_s[self._reason] += now - self._since
        self._reason, self._since = reason, now
        return self._waited_s[reason]

    def next_pause_s(self, waited_s: float) -> float:
        """A little longer each time. waited_s: for the reason at hand."""
        pause_s = self._pause_s
        late_s = min(waited_s / _PART_OF_WAIT, _LONGEST_LATE_PAUSE_S)
        self._pause_s = min(pause_s * 1.5, max(_LONGEST_PAUSE_S, late_s))
        return pause_s
