"""Many works side by side, each once all it needs is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TypeVar

from imgpipe_cli.deploy.resource import Observed
from imgpipe_cli.system.threads import Pool

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Outcome:
    """A resource that is as it should be, or gone: whether anything was sent, and the last look."""

    changed: bool
    observed: Observed


class Stopped(Exception):
    """Another resource failed or the user interrupted: stop at the next pause."""


def in_order(
    works: Mapping[str, Callable[[], Answer]],
    needs: Mapping[str, Collection[str]],
    workers: int,
    stop: threading.Event,
) -> dict[str, Answer]:
    """Do each work once all of these that it needs are done, in the given order where several may begin; name
    -> its answer.

    On the first failure nothing new is begun, what runs stops at its next pause, and the failure is raised.
    """
    todo = list(works)
    done: dict[str, Answer] = {}
    running: dict[Future[Answer], str] = {}
    failures: list[BaseException] = []
    with Pool(workers, thread_name_prefix="step") as pool:
        try:
            while (todo and not failures) or running:
                for name in [] if failures else list(todo):
                    if len(running) < workers and works.keys() & set(needs[name]) <= done.keys():
                        todo.remove(name)
                        running[pool.submit(works[name])] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    error = future.exception()
                    if error is not None:
                        failures.append(error)
                        stop.set()
                    else:
                        done[name] = future.result()
        except BaseException:
            stop.set()
            raise
    if failures:
        # Those that only stopped because of another failure say nothing.
        raise next((error for error in failures if not isinstance(error, Stopped)), failures[0])
    return done
