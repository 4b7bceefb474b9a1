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
from imgpipe_cli.deploy.observe import Snapshot, by_name, is_left_over, is_not_owned, is_unsure
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.plan import called
from imgpipe_cli.deploy.reconcile import Reconciler
from imgpipe_cli.deploy.resource import GONE, Context, Observed, Resource, Step
from imgpipe_cli.deploy.results import failed_index
from imgpipe_cli.deploy.schedule import in_order
from imgpipe_cli.events import Emit, Skipped


@dataclass(frozen=True)
class Removal:
    """What `down` will do with one resource, and what is lost with it."""

    step: Step
    resource: Resource
    observed: Observed
    contents: Mapping[str, int] = field(default_factory=dict)


def planned_removals(
    pipeline: Pipeline, snapshot: Snapshot, emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[Removal]:
    """What is there and ours, with what is in it; tells of what is left alone. Raises Problem."""
    resources = by_name(pipeline)
    going = []
    for step, resource in pipeline.resources():
        observed = snapshot[resource.name]
        not_owned = is_not_owned(resource, snapshot, resources)
        for what, why in _left_alone(resource, observed, pipeline.names, keep, not_owned=not_owned):
            emit(Skipped(step.name, resource.name, what, why))
        if observed.exists and not not_owned and resource.name not in keep:
            # A removal that AWS would refuse stops before all else.
            list(resource.removals(Context(observed, pipeline.names)))
            going.append((step, resource, observed))

    def counted(step: Step, resource: Resource, observed: Observed) -> Removal:
        try:
            return Removal(
                step, resource, observed, resource.contents(pipeline.aws, pipeline.names, observed)
            )
        except AwsError as error:
            if error.code in GONE or not observed.ready:
                return Removal(step, resource, observed)
            raise problem(error, f"count what is in {resource.name}") from error

    return list(pipeline.aws.gather({one[1].name: partial(counted, *one) for one in going}).values())


def _left_alone(
    resource: Resource, observed: Observed, names: Names, keep: Collection[str], *, not_owned: bool
) -> Iterator[tuple[str, str]]:
    """(what, why) of all that `down` leaves of one resource; why as in `Skipped`."""
    yield from ((stray, "stray") for stray in observed.orphans)
    if not observed.exists:
        if is_unsure(observed):
            yield resource.title, "untagged"
    elif not_owned:
        if resource.parent is None:
            why = "untagged" if is_unsure(observed) else "unmarked" if observed.unclaimed else "foreign"
            yield called(resource, observed, names) or resource.name, why
    elif resource.name in keep:
        yield called(resource, observed, names), "kept"


def destroy(
    pipeline: Pipeline, removals: Sequence[Removal], emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[str]:
    """Remove it all, and look at everything until it is gone; what is left by name (nothing, unless another
    run made it meanwhile). Raises Problem."""
    going = _send_all(pipeline, removals, emit)
    snapshot = observe.snapshot(pipeline, lambda _event: None)
    if _wait(going, snapshot):
        snapshot = observe.snapshot(pipeline, lambda _event: None)
    return left(pipeline, snapshot, keep)


def left(pipeline: Pipeline, snapshot: Snapshot, keep: Collection[str] = ()) -> list[str]:
    """The names of what is there, ours, and not to be kept; without what goes together with another thing."""
    resources = by_name(pipeline)
    return [
        name
        for name, resource in resources.items()
        if name not in keep and is_left_over(resource, snapshot, resources)
    ]


def remove_all(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> None:
    """Remove these resources and wait until they are gone. Raises Problem."""
    going = _send_all(pipeline, removals, emit)
    _wait(going, observe.snapshot(pipeline, lambda _event: None, only=going.reconcilers.keys()))


@dataclass(frozen=True)
class _Going:
    """What AWS has taken the removals of, by name; stop: ends the waiting for all of it."""

    reconcilers: Mapping[str, Reconciler]
    stop: threading.Event


def _send_all(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> _Going:
    """Send the removals of each resource once AWS has taken those of all that need it. Raises Problem."""
    stop = threading.Event()
    # Reversed: what needs others goes before them.
    going = {
        one.resource.name: Reconciler(pipeline, one.step, one.resource, emit, stop, None)
        for one in reversed(removals)
    }
    observed = {one.resource.name: one.observed for one in removals}
    works = {name: partial(reconciler.remove, observed[name]) for name, reconciler in going.items()}
    users = {name: {one.resource.name for one in removals if name in one.resource.needs} for name in observed}
    # After a stop `up` fills a new index; of one that outlives its store it would remove each row.
    for name in failed_index.STORES.values():
        users.get(name, set()).update({failed_index.INDEX} & observed.keys())
    in_order(works, users, pipeline.workers, stop)
    return _Going(going, stop)


def _wait(going: _Going, snapshot: Snapshot) -> bool:
    """Wait until all that goes is gone; whether the snapshot has still shown some of it. Raises Problem."""
    works = {name: partial(one.until_gone, snapshot[name]) for name, one in going.reconcilers.items()}
    # All at once: who waits works little.
    outcomes = in_order(works, dict.fromkeys(works, ()), max(len(works), 1), going.stop)
    return any(outcome.observed is not snapshot[name] for name, outcome in outcomes.items())
