"""How long a call may take, and how it is sent again while AWS is throttling or in trouble."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# AWS did not carry the call out: there were too many in a short time.
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "PriorRequestNotComplete",
        "SlowDown",
        "ProvisionedThroughputExceededException",
    }
)
# AWS is in trouble. Not 501, by which an endpoint says that it does not know the operation.
_TROUBLE = frozenset({500, 502, 503, 504})
_LONGEST_BUSY_PAUSE_S = 15.0


@dataclass(frozen=True)
class Timeouts:
    """How long a call may take to connect and to answer, how often the SDK sends it at most, and for how long
    it is sent again after that while AWS is throttling or in trouble."""

    connect_s: float = 5
    read_s: float = 60
    # Explicit: the default mode of the SDK is about to change, and differs between environments.
    attempts: int = 5
    busy_s: float = 120


STANDARD = Timeouts()


class Backoff:
    """Sends a call again after the SDK's own attempts. Thread-safe.

    on_busy: called once, with the error's code, when AWS begins to be waited for.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.timeouts = timeouts
        self.on_busy: Callable[[str], None] | None = None
        self._sleep = sleep
        self._clock = clock

    def while_busy(
        self, attempts: int, response: Any, request_dict: dict[str, Any], **_context: Any
    ) -> float | None:
        """Asked by the SDK after each attempt, beside its own rules: whether, and when, there is another one.

        A set-up sends hundreds of calls, and five attempts are too few for one of them now and then.
        """
        if response is None or attempts < self.timeouts.attempts or not _is_busy(response[1]):
            return None
        now, further = self._clock(), attempts - self.timeouts.attempts
        until = request_dict["context"].setdefault("imgpipe-busy-until", now + self.timeouts.busy_s)
        # Many wait side by side: without chance they would all come back at the same moment.
        pause_s = min(2.0**further, _LONGEST_BUSY_PAUSE_S) * (1 + random.random()) / 2  # noqa: S311
        if now + pause_s > until:
            return None
        if self.on_busy is not None:
            told, self.on_busy = self.on_busy, None
            told(str(response[1].get("Error", {}).get("Code", "")))
        self._sleep(pause_s)
        return 0.0


def _is_busy(answer: Mapping[str, Any]) -> bool:
    """Whether the service says that it is asked too often, or in trouble."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status == 429 or status in _TROUBLE or answer.get("Error", {}).get("Code") in THROTTLED
