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
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

LOGGER = logging.getLogger("imgpipe.local.events")


@dataclass(frozen=True)
class AsyncEvent:
    """One accepted event: for which function (its ARN), since when, and how often it failed.

    request_id: the same at each attempt, as on AWS: by it a function knows that the attempt before is over.
    """

    function: str
    payload: Any
    accepted_at: float
    failures: int = 0
    throttles: int = 0
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    context: contextvars.Context = field(default_factory=contextvars.copy_context, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        """What must be kept on disk so that the event survives a restart."""
        return {
            "function": self.function,
            "payload": self.payload,
            "accepted_at": self.accepted_at,
            "failures": self.failures,
            "throttles": self.throttles,
            "request_id": self.request_id,
        }


@dataclass(frozen=True)
class Again:
    """The event is to be tried once more, after a pause."""

    event: AsyncEvent
    delay_s: float


Attempt = Callable[[AsyncEvent], Again | None]
# The function's ARN and how many of its events run here -> whether one more may.
Room = Callable[[str, int], bool]

# Runs that are none of ours end without a word to the queue: while one of them is in the way, it looks again.
_LOOK_AGAIN_S = 0.2


class EventQueue:
    """Runs `attempt` for each event, on at most `workers` threads.

    room: an event whose function is at its cap waits here, and those of other functions pass it. Lambda would
    refuse it, and it would come back later, long after a run is free again.
    """

    def __init__(
        self,
        attempt: Attempt,
        *,
        workers: int,
        room: Room = lambda _function, _running: True,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._attempt = attempt
        self._room = room
        self._on_change = on_change
        self._ready = threading.Condition()
        # By function: what is due first stands first.
        self._waiting: dict[str, list[tuple[float, int, AsyncEvent]]] = {}
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
            self._push(event, delay_s, next(self._order))

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
            entries = [entry for waiting in self._waiting.values() for entry in waiting]
            waiting = [event for _, _, event in sorted(entries, key=lambda entry: entry[:2])]
            return [event.record() for event in (*self._running.values(), *waiting)]

    def depth(self) -> dict[str, int]:
        with self._ready:
            waiting = sum(map(len, self._waiting.values()))
            return {"waiting": waiting, "running": len(self._running), "workers": self.workers}

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
                if again is not None:
                    # After the end it is not run again here, but kept for the next start.
                    self._push(again.event, 0 if self._closed else again.delay_s, ticket)
                del self._running[ticket]
                # A run of its function is free, and the thread that waits may have passed it over.
                self._ready.notify()
            self._on_change()

    def _push(self, event: AsyncEvent, delay_s: float, ticket: int) -> None:
        """Queue an event; the caller holds the lock."""
        waiting = self._waiting.setdefault(event.function, [])
        heapq.heappush(waiting, (time.monotonic() + delay_s, ticket, event))
        self._ready.notify()

    def _take(self) -> tuple[int, AsyncEvent] | None:
        with self._ready:
            while not self._closed:
                function, wait_s = self._next()
                if function is None:
                    self._ready.wait(wait_s)
                    continue
                _, ticket, event = heapq.heappop(self._waiting[function])
                if not self._waiting[function]:
                    del self._waiting[function]
                self._running[ticket] = event
                if self._waiting:
                    # Another thread may now be the one to wait for the next due time.
                    self._ready.notify()
                return ticket, event
            return None

    def _next(self) -> tuple[str | None, float | None]:
        """The function whose event is to run now; without one, when to look again (None: when one comes)."""
        now = time.monotonic()
        look_s: float | None = None
        running = Counter(event.function for event in self._running.values())
        for function, waiting in sorted(self._waiting.items(), key=lambda entry: entry[1][0][:2]):
            wait_s = waiting[0][0] - now
            if wait_s > 0:
                look_s = wait_s if look_s is None else min(look_s, wait_s)
                break
            if self._room(function, running[function]):
                return function, None
            look_s = _LOOK_AGAIN_S
        return None, look_s


def failed_once_more(event: AsyncEvent) -> AsyncEvent:
    return replace(event, failures=event.failures + 1)


def throttled_once_more(event: AsyncEvent) -> AsyncEvent:
    return replace(event, throttles=event.throttles + 1)
