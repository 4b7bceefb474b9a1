"""The only loops over the steps: up, dry run, status, down.

Each resource converges on its own: look, change, look again, until a fresh look leaves nothing to
change. Resources that do not need each other converge side by side; a wait happens only where
something needs what is being waited for. There is no list of what was done: an interrupted run is
continued by running again.

Nothing is locked either: another run may act at the same time. A resource that meets its doing is observed
again; a value that several resources share (the settings, the token, the API's id) and that has changed
meanwhile is a `ConflictError`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.pipeline import Pipeline, Snapshot, not_ours_hint, observe
from imgpipe_cli.deploy.reconcile import NO_TAGS, Outcome, Reconciler, Watch, in_order
from imgpipe_cli.deploy.resource import GONE, Change, ConflictError, Context, Observed, Resource, Step
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Emit, Looking, Skipped, Waiting
from imgpipe_cli.session.settings import Settings

State = Literal["ready", "busy", "missing", "drifted", "not_owned"]

# What several resources hold a copy of: with another value of these, all of them are wrong.
SHARED = ("settings", "token", "api")
_SECOND_LOOK_S = 1.0
# The tags of a thing made by a run that was killed a moment ago show within seconds.
_TAGS_WITHIN_S = 30.0
_TAGS_PAUSE_S = 1.0
# The local cloud's show at once, but to two looks side by side: the thing may be made between them.
_LOCAL_TAGS_WITHIN_S = 1.0


@dataclass(frozen=True)
class ResourceState:
    step: str
    resource: str
    state: State
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removal:
    """What `down` will do with one resource, and what is lost with it."""

    step: Step
    resource: Resource
    seen: Observed
    contents: Mapping[str, int] = field(default_factory=dict)


# --- looking -------------------------------------------------------------------------------------


def observe_all(pipeline: Pipeline, emit: Emit, only: Collection[str] = ()) -> Snapshot:
    """Look at every resource, or only at those of these names, side by side. Raises Problem.

    What has no tags at all is looked at again for a while: it may be ours, made a moment ago.
    """
    asked = [(step, resource) for step, resource in pipeline.resources() if not only or resource.name in only]
    for step, resource in asked:
        emit(Looking(step.name, resource.name))
    snapshot = _look_at(pipeline, [resource for _, resource in asked])
    if (
        "settings" in snapshot
        and not snapshot["settings"].exists
        and any(s.exists for s in snapshot.values())
    ):
        # Another run that is setting the pipeline up wrote them first, after the look at them.
        snapshot |= _look_at(pipeline, [resource for _, resource in asked if resource.name == "settings"])
    began = pipeline.aws.clock()
    within_s = _LOCAL_TAGS_WITHIN_S if pipeline.aws.place.is_local else _TAGS_WITHIN_S
    while unsure := [(s, r) for s, r in asked if _unsure(snapshot[r.name]) or snapshot[r.name].unclaimed]:
        waited = pipeline.aws.clock() - began
        if waited >= within_s:
            break
        for step, resource in unsure:
            emit(Waiting(step.name, resource.name, NO_TAGS, waited))
        pipeline.aws.sleep(_TAGS_PAUSE_S)
        snapshot |= _look_at(pipeline, [resource for _, resource in unsure])
    return snapshot


def _look_at(pipeline: Pipeline, resources: Sequence[Resource]) -> Snapshot:
    return pipeline.aws.gather(
        {resource.name: partial(observe, pipeline, resource) for resource in resources}
    )


def _unsure(seen: Observed) -> bool:
    return seen.untagged and not seen.indeterminate and not (seen.exists and seen.owned)


def _adopted(snapshot: Snapshot) -> Snapshot:
    """The same looks, where what `up` may take counts as ours."""
    return {name: replace(seen, owned=seen.owned or seen.unclaimed) for name, seen in snapshot.items()}


def _not_owned(resource: Resource, snapshot: Snapshot, resources: Mapping[str, Resource]) -> bool:
    """True if the resource, or the one it lives inside, exists and is not ours."""
    if snapshot[resource.name].not_owned:
        return True
    return resource.parent is not None and _not_owned(resources[resource.parent], snapshot, resources)


def _left_over(resource: Resource, snapshot: Snapshot, resources: Mapping[str, Resource]) -> bool:
    """Whether something that is not asked for is there, is ours, and would not go with another thing."""
    is_ours = snapshot[resource.name].exists and not _not_owned(resource, snapshot, resources)
    return is_ours and resource.parent is None


def _by_name(pipeline: Pipeline) -> dict[str, Resource]:
    return {resource.name: resource for _, resource in pipeline.resources()}


def states(pipeline: Pipeline, snapshot: Snapshot, settings: Settings) -> list[ResourceState]:
    """What a user reads in `status`; nothing is changed.

    Of what the settings do not ask for only that is told which is there although it should not.
    """
    resources = _by_name(pipeline)
    adopted = _adopted(snapshot)
    found = []
    for step, resource in pipeline.resources():
        seen = snapshot[resource.name]
        state: State = "ready"
        differences: tuple[str, ...] = ()
        if not resource.wanted(settings):
            if not _left_over(resource, snapshot, resources):
                continue
            state, differences = "drifted", (f"remove {resource.name}: not used any more",)
        elif _not_owned(resource, adopted, resources):
            state = "not_owned"
            if seen.not_owned:  # what is inside it goes without saying
                differences = _whose(resource, seen, pipeline.names)
        elif not seen.exists:
            state = "missing"
        elif not seen.ready:
            state, differences = "busy", (seen.detail,)
        elif resource.parent is None and not resource.wanted(settings.at_rest):
            state, differences = "drifted", (f"move the results out of {resource.name}: run imgpipe up",)
        else:
            differences = tuple(_differences(resource, seen, pipeline.names, settings))
            state = "drifted" if differences else "ready"
        found.append(ResourceState(step.name, resource.name, state, differences))
    return found


def unmanaged_changes(pipeline: Pipeline, snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """What others added that `up` leaves as it is, by resource; only where there is something to tell. Raises
    Problem."""
    resources = _by_name(pipeline)

    def one(resource: Resource) -> tuple[str, ...]:
        seen = snapshot[resource.name]
        if _not_owned(resource, snapshot, resources):
            return seen.orphans
        try:
            return (*seen.orphans, *resource.unmanaged_changes(pipeline.aws, pipeline.names, seen))
        except AwsError as error:
            raise problem(error, f"look at what was added to {resource.name}") from error

    found = pipeline.aws.gather({name: partial(one, resource) for name, resource in resources.items()})
    return {name: told for name, told in found.items() if told}


def _differences(resource: Resource, seen: Observed, names: Names, settings: Settings) -> Iterator[str]:
    try:
        for change in resource.diff(Context(seen, names, settings)):
            yield f"{change.verb} {change.what}"
    except Problem as found:
        yield found.message


def refuse_not_owned(pipeline: Pipeline, snapshot: Snapshot, settings: Settings | None = None) -> None:
    """Raise a Problem that names everything with our names that is not ours; with settings, of what they
    ask for."""
    not_owned = [
        f"{resource.name} ({_called(resource, seen, pipeline.names) or seen.detail})"
        for _, resource in pipeline.resources(settings)
        if (seen := snapshot[resource.name]).not_owned and not seen.unclaimed
    ]
    if not_owned:
        raise Problem(
            "not_ours",
            f"Something imgpipe did not make has the name of: {', '.join(not_owned)} "
            f"(project {pipeline.names.project}). Nothing was changed.",
            hint=not_ours_hint(pipeline.names),
        )


def _called(resource: Resource, seen: Observed, names: Names) -> str:
    """Its kind and its name in AWS; empty where we may not look at it."""
    removals = list(resource.removals(Context(seen, names))) if seen.facts else []
    return removals[-1].what if removals else ""


def _whose(resource: Resource, seen: Observed, names: Names) -> tuple[str, ...]:
    """Why something is not ours, and what to do about it."""
    what = _called(resource, seen, names) or resource.name
    if seen.tags is None:
        why = f"{what} is not this pipeline's{f': {seen.detail}' if seen.detail else ''}"
        return why, not_ours_hint(names)
    found = ", ".join(f"{key}={value}" for key, value in sorted(seen.tags.items()))
    return f"{what} has {f'the tags {found}' if found else 'no tags'}", not_ours_hint(names)


# --- up ------------------------------------------------------------------------------------------


def plan(pipeline: Pipeline, snapshot: Snapshot, settings: Settings) -> list[tuple[Step, Resource, Change]]:
    """Every call that `up` would send, in the order of the steps."""
    return [
        (step, resource, change)
        for step, resource in pipeline.resources(settings)
        for change in resource.diff(Context(snapshot[resource.name], pipeline.names, settings))
    ]


def up(pipeline: Pipeline, snapshot: Snapshot, settings: Settings, emit: Emit) -> dict[str, Outcome]:
    """Make everything as it should be; by resource name. Raises Problem, and ConflictError."""
    refuse_not_owned(pipeline, snapshot, settings)
    # What cannot be repaired stops before anything is changed.
    for _, resource in pipeline.resources(settings):
        if snapshot[resource.name].ready:
            list(resource.diff(Context(snapshot[resource.name], pipeline.names, settings)))
    stop = threading.Event()
    watch = Watch(pipeline.aws.clock, lambda settled: refuse_conflict(pipeline, settled))

    def reconcile(step: Step, resource: Resource) -> Outcome:
        visit = Reconciler(pipeline, step, resource, emit, stop, watch)
        outcome = visit.reconcile(snapshot[resource.name], settings)
        if resource.name in SHARED:
            watch.settled[resource.name] = outcome.seen
        return outcome

    wanted = list(pipeline.resources(settings))
    needs = {resource.name: set(resource.needs) for _, resource in wanted}
    try:
        return in_order(wanted, needs, reconcile, pipeline.workers, stop)
    except Problem:
        with suppress(Problem):  # the first failure is the cause, not that this look fails too
            watch.look(now=True)  # what failed may be the doing of another run
        raise


def refuse_conflict(pipeline: Pipeline, settled: Snapshot) -> None:
    """Look whether these resources are as they were when this run left them. Raises ConflictError."""
    for pause_s in (_SECOND_LOOK_S, 0.0):  # one look may be late: the second counts
        if not settled or observe_all(pipeline, lambda _event: None, only=settled.keys()) == settled:
            return
        pipeline.aws.sleep(pause_s)
    raise ConflictError


# --- down ----------------------------------------------------------------------------------------


def planned_removals(
    pipeline: Pipeline, snapshot: Snapshot, emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[Removal]:
    """What is there and ours, with what is in it; tells of what is left alone. Raises Problem."""
    resources = _by_name(pipeline)
    going = []
    for step, resource in pipeline.resources():
        seen = snapshot[resource.name]
        is_foreign = _not_owned(resource, snapshot, resources)
        for what, why in _left_alone(resource, seen, pipeline.names, keep, is_foreign=is_foreign):
            emit(Skipped(step.name, resource.name, what, why))
        if seen.exists and not is_foreign and resource.name not in keep:
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
    resource: Resource, seen: Observed, names: Names, keep: Collection[str], *, is_foreign: bool
) -> Iterator[tuple[str, str]]:
    """(what, why) of all that `down` leaves of one resource; why as in `Skipped`."""
    yield from ((stray, "stray") for stray in seen.orphans)
    if not seen.exists:
        if _unsure(seen):
            yield resource.title, "untagged"
    elif is_foreign:
        if resource.parent is None:
            why = "untagged" if _unsure(seen) else "unmarked" if seen.unclaimed else "foreign"
            yield _called(resource, seen, names) or resource.name, why
    elif resource.name in keep:
        yield _called(resource, seen, names), "kept"


def down(
    pipeline: Pipeline, removals: Sequence[Removal], emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[str]:
    """Remove it all, then look at everything again; what is left by name (nothing, unless another run made
    it meanwhile). Raises Problem."""
    take_away(pipeline, removals, emit)
    return ours(pipeline, observe_all(pipeline, lambda _event: None), keep)


def ours(pipeline: Pipeline, snapshot: Snapshot, keep: Collection[str] = ()) -> list[str]:
    """The names of what is there, ours, and not to be kept; without what goes together with another thing."""
    resources = _by_name(pipeline)
    return [
        name
        for name, resource in resources.items()
        if name not in keep and _left_over(resource, snapshot, resources)
    ]


def take_away(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> None:
    """Remove these resources, each once what needs it is gone. Raises Problem."""
    stop = threading.Event()
    seen = {removal.resource.name: removal.seen for removal in removals}

    def remove(step: Step, resource: Resource) -> Outcome:
        return Reconciler(pipeline, step, resource, emit, stop, None).remove(seen[resource.name])

    # Reversed: a resource goes once everything that needs it is gone.
    order = [(removal.step, removal.resource) for removal in reversed(removals)]
    users = {name: {r.name for _, r in order if name in r.needs} for name in seen}
    in_order(order, users, remove, pipeline.workers, stop)
