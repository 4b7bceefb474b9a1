"""Remove a pipeline: what is there and managed by imgpipe, each resource once what needs it is gone."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import observe
from imgpipe_cli.deploy.observe import by_name, is_left_over, is_not_owned, is_unsure
from imgpipe_cli.deploy.pipeline import Pipeline, Snapshot
from imgpipe_cli.deploy.plan import called
from imgpipe_cli.deploy.reconcile import Reconciler
from imgpipe_cli.deploy.resource import GONE, Context, Observed, Resource, Step
from imgpipe_cli.deploy.schedule import Outcome, in_order
from imgpipe_cli.events import Emit, Skipped


@dataclass(frozen=True)
class Removal:
    """What `down` will do with one resource, and what is lost with it."""

    step: Step
    resource: Resource
    seen: Observed
    contents: Mapping[str, int] = field(default_factory=dict)


def planned_removals(
    pipeline: Pipeline, snapshot: Snapshot, emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[Removal]:
    """What is there and ours, with what is in it; tells of what is left alone. Raises Problem."""
    resources = by_name(pipeline)
    going = []
    for step, resource in pipeline.resources():
        seen = snapshot[resource.name]
        not_owned = is_not_owned(resource, snapshot, resources)
        for what, why in _left_alone(resource, seen, pipeline.names, keep, not_owned=not_owned):
            emit(Skipped(step.name, resource.name, what, why))
        if seen.exists and not not_owned and resource.name not in keep:
            # A removal that AWS would refuse stops before all else.
            list(resource.removals(Context(seen, pipeline.names)))
            going.append((step, resource, seen))

    def counted(step: Step, resource: Resource, seen: Observed) -> Removal:
        try:
            return Removal(step, resource, seen, resource.contents(pipeline.aws, pipeline.names, seen))
        except AwsError as error:
            if error.code in GONE or not seen.ready:
                return Removal(step, resource, seen)
            raise problem(error, f"count what is in {resource.name}") from error

    return list(pipeline.aws.gather({one[1].name: partial(counted, *one) for one in going}).values())


def _left_alone(
    resource: Resource, seen: Observed, names: Names, keep: Collection[str], *, not_owned: bool
) -> Iterator[tuple[str, str]]:
    """(what, why) of all that `down` leaves of one resource; why as in `Skipped`."""
    yield from ((stray, "stray") for stray in seen.orphans)
    if not seen.exists:
        if is_unsure(seen):
            yield resource.title, "untagged"
    elif not_owned:
        if resource.parent is None:
            why = "untagged" if is_unsure(seen) else "unmarked" if seen.unclaimed else "foreign"
            yield called(resource, seen, names) or resource.name, why
    elif resource.name in keep:
        yield called(resource, seen, names), "kept"


def destroy(
    pipeline: Pipeline, removals: Sequence[Removal], emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[str]:
    """Remove it all, then look at everything again; what is left by name (nothing, unless another run made
    it meanwhile). Raises Problem."""
    remove_all(pipeline, removals, emit)
    return left(pipeline, observe.snapshot(pipeline, lambda _event: None), keep)


def left(pipeline: Pipeline, snapshot: Snapshot, keep: Collection[str] = ()) -> list[str]:
    """The names of what is there, ours, and not to be kept; without what goes together with another thing."""
    resources = by_name(pipeline)
    return [
        name
        for name, resource in resources.items()
        if name not in keep and is_left_over(resource, snapshot, resources)
    ]


def remove_all(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> None:
    """Remove these resources, each once what needs it is gone. Raises Problem."""
    stop = threading.Event()
    seen = {removal.resource.name: removal.seen for removal in removals}

    def remove(step: Step, resource: Resource) -> Outcome:
        return Reconciler(pipeline, step, resource, emit, stop, None).remove(seen[resource.name])

    # Reversed: a resource goes once everything that needs it is gone.
    order = {one.resource.name: partial(remove, one.step, one.resource) for one in reversed(removals)}
    users = {name: {one.resource.name for one in removals if name in one.resource.needs} for name in seen}
    in_order(order, users, pipeline.workers, stop)
