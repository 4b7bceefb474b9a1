"""Rekognition's bad days, on demand: throttling, server errors, slowness, a limit of calls per second.

A switch for whoever wants to see a pipeline under real limits. It lives in the cloud's process and is off
again after a restart, so that nobody looks for a fault that they once switched on themselves.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

OPERATIONS = ("DetectLabels", "DetectModerationLabels", "DetectFaces", "DetectText")

Outcome = Literal["answered", "refused", "throttled", "failed"]


@dataclass(frozen=True)
class Faults:
    """What is to go wrong; everything at its default: nothing.

    tps: calls per second that each operation answers, as the quotas of an AWS account; throttle_percent and
    error_percent: shares of the calls; latency_ms: added to each call that is not throttled; operations:
    which are concerned, empty for all.
    """

    tps: float | None = None
    throttle_percent: float = 0.0
    error_percent: float = 0.0
    latency_ms: float = 0.0
    operations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for what has no meaning."""
        if self.tps is not None and not 0 < self.tps <= 10_000:
            raise ValueError("tps must be above 0 and at most 10,000")
        for name in ("throttle_percent", "error_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name} must be from 0 to 100")
        if not 0 <= self.latency_ms <= 600_000:
            raise ValueError("latency_ms must be from 0 to 600,000")
        if unknown := set(self.operations) - set(OPERATIONS):
            raise ValueError(f"operations must be among {', '.join(OPERATIONS)}, not {', '.join(unknown)}")

    @classmethod
    def from_json(cls, document: Any) -> Faults:
        """Raises ValueError."""
        try:
            values = {**document, "operations": tuple(document.get("operations", ()))}
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error

    @property
    def active(self) -> bool:
        return self.tps is not None or any((self.throttle_percent, self.error_percent, self.latency_ms))

    def concern(self, operation: str) -> bool:
        return self.active and (not self.operations or operation in self.operations)


@dataclass(frozen=True)
class Injected:
    """An error in place of an answer, in Rekognition's own words."""

    status: int
    code: str
    message: str
    outcome: Outcome

    def body(self) -> dict[str, str]:
        return {"__type": self.code, "Code": self.code, "Message": self.message}


# https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html
OVER_QUOTA = Injected(
    400, "ProvisionedThroughputExceededException", "Provisioned Rate exceeded.", "throttled"
)
THROTTLED = Injected(
    400, "ThrottlingException", "Slow down; sudden increase in rate of requests.", "throttled"
)
SERVER_ERROR = Injected(500, "InternalServerError", "Internal server error", "failed")


class FaultSwitch:
    """The faults that are on, and what has become of all calls. Used on one thread, the event loop's."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """chance: a number from 0 to below 1 for each decision."""
        self._clock = clock
        self._chance = chance
        self._faults = Faults()
        self._buckets: dict[str, _Bucket] = {}
        self._calls: dict[str, Counter[Outcome]] = {}

    @property
    def faults(self) -> Faults:
        return self._faults

    def turn(self, faults: Faults) -> None:
        """Replace what is on."""
        self._faults = faults
        self._buckets = {}

    def injected(self, operation: str) -> Injected | None:
        """The error that this call meets, if any."""
        faults = self._faults
        if not faults.concern(operation):
            return None
        if faults.tps is not None:
            bucket = self._buckets.setdefault(operation, _Bucket(faults.tps, self._clock()))
            if not bucket.take(self._clock()):
                return OVER_QUOTA
        if self._chance() * 100 < faults.throttle_percent:
            return THROTTLED
        if self._chance() * 100 < faults.error_percent:
            return SERVER_ERROR
        return None

    def latency_s(self, operation: str) -> float:
        return self._faults.latency_ms / 1000 if self._faults.concern(operation) else 0.0

    def count(self, operation: str, outcome: Outcome) -> None:
        # Under a name of our own for what is no operation: callers choose names, memory must not grow.
        name = operation if operation in OPERATIONS else "other"
        self._calls.setdefault(name, Counter())[outcome] += 1

    def told(self) -> dict[str, Any]:
        """For status: the faults, and the calls of each operation by what became of them since the start."""
        calls: Mapping[str, Counter[Outcome]] = dict(self._calls)
        return {
            "faults": asdict(self._faults) if self._faults.active else None,
            "calls": {operation: dict(counted) for operation, counted in sorted(calls.items())},
        }


class _Bucket:
    """Lets `rate` calls a second pass, and as many at once after a quiet second."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._tokens = self._most
        self._at = now

    def take(self, now: float) -> bool:
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
