"""Values that never change once they exist, each looked up once for all who ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class KnownValues:
    """What was found so far, by key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._flights: dict[str, Future[str | None]] = {}

    def get(self, key: str, find: Callable[[], str | None]) -> str | None:
        """The value: remembered, or the answer of a look, which may be one that another began.

        That there is none is not remembered: who asks later looks again.
        """
        value = self._known.get(key)
        return self.learn(key, find, join=True) if value is None else value

    def learn(self, key: str, find: Callable[[], str | None], *, join: bool = False) -> str | None:
        """Look the value up again, also for those who ask for it meanwhile, and remember it.

        join: an answer that is already on its way will do.
        """
        own: Future[str | None] = Future()
        with self._lock:
            flight = self._flights.get(key) if join else None
            if flight is None:
                self._flights[key] = own
        if flight is not None:
            return flight.result()
        try:
            value = find()
        except BaseException as error:
            self._landed(key, own, None)
            own.set_exception(error)
            raise
        self._landed(key, own, value)
        own.set_result(value)
        return value

    def forget(self, key: str) -> None:
        """Who asks for the value next looks it up again."""
        with self._lock:
            self._known.pop(key, None)

    def _landed(self, key: str, flight: Future[str | None], value: str | None) -> None:
        with self._lock:
            if self._flights.get(key) is not flight:
                return  # somebody has begun to look later: that answer is the newer one
            del self._flights[key]
            if value is None:
                self._known.pop(key, None)
            else:
                self._known[key] = value
