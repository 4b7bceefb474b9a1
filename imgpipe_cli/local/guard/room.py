"""Room for the bodies of requests: so many bytes in memory at once, whoever sends how many.

A body is read once there is room for all that it says it has; until then it stays in its connection. Who
waits gets the room of a body that does not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# What is smaller needs no room: the calls of the functions never wait for anybody's pictures.
SMALL_BYTES = 64 * 1024
# While others wait, a body may pause so long, and has to come at least so fast after as long; on one machine
# they come much faster.
_GRACE_S = 2.0
_BYTES_PER_S = 256 * 1024
_LOOK_S = 0.2


@dataclass(eq=False)
class Body:
    """One that is in memory, or on its way there. limit ends its reading, once that has begun."""

    size: int
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    received: int = 0
    last: float = 0.0
    limit: asyncio.Timeout | None = None
    given_up: bool = False

    def is_late(self, now: float, grace_s: float) -> bool:
        age_s, pause_s = now - self.since, now - max(self.last, self.since)
        slow = age_s > grace_s and self.received < age_s * _BYTES_PER_S
        return self.limit is not None and (slow or pause_s > grace_s)

    def grow(self, size: int) -> None:
        self.received += size
        self.last = asyncio.get_running_loop().time()

    def give_up(self, now: float) -> None:
        if self.limit is not None and not self.given_up:
            self.given_up = True
            self.limit.reschedule(now)


class Room:
    """Of one kind of callers. Used on one thread, the event loop's."""

    def __init__(self, most_bytes: int, *, grace_s: float = _GRACE_S) -> None:
        self._grace_s = grace_s
        self._most = most_bytes
        self._free = most_bytes
        self._bodies: set[Body] = set()
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[Body]:
        """Room for a body of this size, once there is, in the order of asking."""
        size = 0 if size <= SMALL_BYTES else min(size, self._most)
        if size:
            async with self._turn:
                while self._free < size:
                    self._give_up_late()
                    await asyncio.sleep(_LOOK_S)
                self._free -= size
        body = Body(size)
        self._bodies.add(body)
        try:
            yield body
        finally:
            self._bodies.remove(body)
            self._free += size

    def _give_up_late(self) -> None:
        now = asyncio.get_running_loop().time()
        for body in self._bodies:
            if body.size and body.is_late(now, self._grace_s):
                body.give_up(now)
