"""Threads that work side by side and keep nobody who has been interrupted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


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
