"""Values that are found once for all who ask at the same time, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class SingleFlight(Generic[Value]):
    """The values found so far, by key. Thread-safe.

    None, and an error, reach those who asked meanwhile and are not remembered: who asks later looks again.
    """

    def __init__(self, capacity: int | None = None) -> None:
        """capacity: so many values are kept, those asked for last; None: all."""
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Value] = OrderedDict()
        self._flights: dict[Hashable, Future[Value]] = {}
        self._told: set[Hashable] = set()

    def get(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """The value: remembered, or the answer of a look, which may be one that another began."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            begun = self._flights.get(key)
            own = begun or self._begin(key)
        return own.result() if begun else self._land(key, own, find)

    def learn(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """Look the value up again, also for those who ask meanwhile without knowing it, and remember it."""
        with self._lock:
            own = self._begin(key)
        return self._land(key, own, find)

    def tell(self, key: Hashable, value: Value) -> None:
        """Remember a value that needed no look. A look that finds nothing yet does not undo it."""
        with self._lock:
            self._known[key] = value
            self._told.add(key)

    def forget(self, key: Hashable) -> None:
        """Who asks for the value next looks it up again."""
        with self._lock:
            self._known.pop(key, None)
            self._told.discard(key)

    def forget_all(self) -> None:
        """As `forget`, for every value."""
        with self._lock:
            self._known.clear()
            self._told.clear()

    def _begin(self, key: Hashable) -> Future[Value]:
        own = self._flights[key] = Future()
        return own

    def _land(self, key: Hashable, own: Future[Value], find: Callable[[], Value]) -> Value:
        try:
            value = find()
        except BaseException as error:
            self._remember(key, own, None)
            own.set_exception(error)
            raise
        self._remember(key, own, value)
        own.set_result(value)
        return value

    def _remember(self, key: Hashable, own: Future[Value], value: Value | None) -> None:
        with self._lock:
            if self._flights.get(key) is not own:
                return  # somebody has begun to look later: that answer is the newer one
            del self._flights[key]
            if value is None and key in self._told:
                return
            self._told.discard(key)
            self._known.pop(key, None)
            if value is not None:
                self._known[key] = value
            while self._capacity is not None and len(self._known) > self._capacity:
                self._known.popitem(last=False)
