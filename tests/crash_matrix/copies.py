"""Work done in copies of this process: a fork has all of its memory, and nothing it does comes back but the
answer."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

T = TypeVar("T")


def in_a_copy(work: Callable[[], T]) -> T:
    """The answer of one copy. Raises EOFError if it died; it has told why on stderr."""
    return next(in_copies([work], jobs=1))


def in_copies(works: Iterable[Callable[[], T]], *, jobs: int) -> Iterator[T]:
    """The answers in the order in which they come, from at most so many copies at once."""
    running: dict[Connection, BaseProcess] = {}
    todo = iter(works)
    while True:
        while len(running) < jobs and (work := next(todo, None)) is not None:
            connection, process = _begun(work)
            running[connection] = process
        if not running:
            return
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            try:
                yield ready.recv()
            finally:
                ready.close()
                running.pop(ready).join()


def _begun(work: Callable[[], T]) -> tuple[Connection, BaseProcess]:
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)

    def run() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that collects the answers
        theirs.send(work())

    process = fork.Process(target=run)
    process.start()
    theirs.close()
    return ours, process
