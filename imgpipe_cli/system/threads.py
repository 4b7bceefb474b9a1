"""Threads that work side by side and keep nobody who has been interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

TICK_S = 0.5
"""The longest that the main thread waits at a time: on Windows it hears of Ctrl-C only between waits."""


class Pool(ThreadPoolExecutor):
    """Waits for its threads, as every pool, but not on Ctrl-C: their calls may wait for minutes themselves.

    __main__.py ends the program with them.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is None or isinstance(error, Exception):
            return super().__exit__(kind, error, trace)
        self.shutdown(wait=False, cancel_futures=True)
        return None

    def answers(self, works: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Do all of it side by side; name -> answer. All has ended before the first failure is raised."""
        futures = {name: self.submit(work) for name, work in works.items()}
        wait(futures.values())
        return {name: future.result() for name, future in futures.items()}
