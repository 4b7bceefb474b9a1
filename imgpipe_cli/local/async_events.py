"""A bounded queue of asynchronous invocations.

As shipped, MiniStack starts one process for every event in flight: 500 pictures at once bring a laptop
down. Here a fixed number of threads takes events in the order of their due time; a failed event goes back
with a delay instead of occupying its thread, as Lambda's own event queue does. Knows nothing of MiniStack
(invocations.py does).
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

LOGGER = logging.getLogger("imgpipe.local.events")


@dataclass(frozen=True)
class AsyncEvent:
    """One accepted event: for which function (its ARN), since when, and how often it failed."""

    function: str
    payload: Any
    accepted_at: float
    failures: int = 0
    throttles: int = 0
    context: contextvars.Context = field(default_factory=contextvars.copy_context, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        """What must be kept on disk so that the event survives a restart."""
        return {
            "function": self.function,
            "payload": self.payload,
            "accepted_at": self.accepted_at,
            "failures": self.failures,
            "throttles": self.throttles,
        }


@dataclass(frozen=True)
class Again:
    """The event is to be tried once more, after a pause."""

    event: AsyncEvent
    delay_s: float


Attempt = Callable[[AsyncEvent], Again | None]


class EventQueue:
    """Runs `attempt` for each event, on at most `workers` threads."""

    def __init__(
        self, attempt: Attempt, *, workers: int, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._attempt = attempt
        self._on_change = on_change
        self._ready = threading.Condition()
        self._waiting: list[tuple[float, int, AsyncEvent]] = []
        self._running: dict[int, AsyncEvent] = {}
        self._order = itertools.count()
        self._closed = False
        self.workers = workers
        self._threads = [
            threading.Thread(target=self._work, name=f"imgpipe-events-{n}", daemon=True)
            for n in range(workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def put(self, event: AsyncEvent, *, delay_s: float = 0) -> None:
        """Accept an event; never blocks and never drops."""
        with self._ready:
            heapq.heappush(self._waiting, (time.monotonic() + delay_s, next(self._order), event))
            self._ready.notify()

    def restore(self, records: Iterable[dict[str, Any]]) -> int:
        """Take back what `records` of an earlier process still waited for."""
        count = 0
        for record in records:
            self.put(AsyncEvent(**record))
            count += 1
        return count

    def records(self) -> list[dict[str, Any]]:
        """Every event not finished, the running ones too: a killed cloud runs those again, at least once."""
        with self._ready:
            waiting = [event for _, _, event in sorted(self._waiting, key=lambda entry: entry[:2])]
            return [event.record() for event in (*self._running.values(), *waiting)]

    def depth(self) -> dict[str, int]:
        with self._ready:
            return {"waiting": len(self._waiting), "running": len(self._running), "workers": self.workers}

    def close(self, timeout_s: float) -> None:
        """Start nothing more and wait for what runs; events that wait stay in `records`."""
        deadline = time.monotonic() + timeout_s
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            ticket, event = taken
            again: Again | None = None
            try:
                again = event.context.copy().run(self._attempt, event)
            except Exception:
                # The event is dropped rather than looped for ever; attempt() turns a function's own
                # errors into Again, so this is a defect of ours or a changed private name.
                LOGGER.exception("event for %s could not be run", event.function)
            with self._ready:
                if again is not None and self._closed:
                    # Not run again here, but kept for the next start.
                    heapq.heappush(self._waiting, (time.monotonic(), ticket, again.event))
                elif again is not None:
                    self._queue_again(again)
                del self._running[ticket]
            self._on_change()

    def _queue_again(self, again: Again) -> None:
        """Queue a retry; the caller holds the lock."""
        heapq.heappush(self._waiting, (time.monotonic() + again.delay_s, next(self._order), again.event))
        self._ready.notify()

    def _take(self) -> tuple[int, AsyncEvent] | None:
        with self._ready:
            while True:
                if self._closed:
                    return None
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    _, ticket, event = heapq.heappop(self._waiting)
                    self._running[ticket] = event
                    if self._waiting:
                        # Another thread may now be the one to wait for the next due time.
                        self._ready.notify()
                    return ticket, event
                self._ready.wait(self._waiting[0][0] - now if self._waiting else None)


def failed_once_more(event: AsyncEvent) -> AsyncEvent:
    return replace(event, failures=event.failures + 1)


def throttled_once_more(event: AsyncEvent) -> AsyncEvent:
    return replace(event, throttles=event.throttles + 1)
