"""Many resources side by side, each once all it needs is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from imgpipe_cli.deploy.resource import Observed, Resource, Step
from imgpipe_cli.system.threads import Pool


@dataclass(frozen=True)
class Outcome:
    """A resource that is as it should be, or gone: whether anything was sent, and the last look."""

    changed: bool
    seen: Observed


class Stopped(Exception):
    """Another resource failed or the user interrupted: stop at the next pause."""


def in_order(
    order: list[tuple[Step, Resource]],
    needs: Mapping[str, set[str]],
    work: Callable[[Step, Resource], Outcome],
    workers: int,
    stop: threading.Event,
) -> dict[str, Outcome]:
    """Do the work of each resource once all it needs is done; name -> its answer.

    On the first failure nothing new is begun, what runs stops at its next pause, and the failure is raised.
    """
    there = {resource.name for _, resource in order}
    todo = list(order)
    done: dict[str, Outcome] = {}
    running: dict[Future[Outcome], str] = {}
    failures: list[BaseException] = []
    with Pool(workers, thread_name_prefix="step") as pool:
        try:
            while (todo and not failures) or running:
                for step, resource in [] if failures else list(todo):
                    if len(running) < workers and needs[resource.name] & there <= done.keys():
                        todo.remove((step, resource))
                        running[pool.submit(work, step, resource)] = resource.name
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
