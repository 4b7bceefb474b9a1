"""One computation for each key at a time, and the latest outcomes kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Outcome = TypeVar("Outcome")


class Flights(Generic[Outcome]):
    """A small cache in which whoever asks for a key first computes it and everyone else waits for that.

    An error reaches those who waited and is then forgotten, so the next one to ask tries again.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._futures: OrderedDict[Hashable, Future[Outcome]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Outcome]) -> Outcome:
        with self._lock:
            future = self._futures.get(key)
            first = future is None
            if future is None:
                future = self._futures[key] = Future()
            self._futures.move_to_end(key)
            while len(self._futures) > self._capacity:
                self._futures.popitem(last=False)
        if first:
            self._fly(key, future, compute)
        return future.result()

    def _fly(self, key: Hashable, future: Future[Outcome], compute: Callable[[], Outcome]) -> None:
        try:
            future.set_result(compute())
        except BaseException as error:
            with self._lock:
                if self._futures.get(key) is future:
                    del self._futures[key]
            future.set_exception(error)
