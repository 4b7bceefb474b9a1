"""The only loops over the steps: up, dry run, status, down.

Each resource converges on its own: look, change, look again, until a fresh look leaves nothing to
change. Resources that do not need each other converge side by side; a wait happens only where
something needs what is being waited for. There is no list of what was done: an interrupted run is
continued by running again.

Nothing is locked either: another run may act at the same time. What meets its doing looks again; whoever
shares a value with others that has changed meanwhile (the settings, the token, the API's id) is `Overtaken`.
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
from imgpipe_cli.deploy.pipeline import Looks, Pipeline, not_ours_hint, observe
from imgpipe_cli.deploy.reconcile import NO_TAGS, Outcome, Visit, Watch, in_order
from imgpipe_cli.deploy.resource import GONE, Change, Overtaken, Resource, Seen, Step
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Emit, Looking, Skipped, Waiting
from imgpipe_cli.session.settings import Settings

State = Literal["ready", "busy", "missing", "differs", "foreign"]

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
    seen: Seen
    contents: Mapping[str, int] = field(default_factory=dict)


# --- looking -------------------------------------------------------------------------------------


def look(pipeline: Pipeline, emit: Emit, only: Collection[str] = ()) -> Looks:
    """Look at every resource, or only at those of these names, side by side. Raises Problem.

    What has no tags at all is looked at again for a while: it may be ours, made a moment ago.
    """
    asked = [(step, resource) for step, resource in pipeline.resources() if not only or resource.name in only]
    for step, resource in asked:
        emit(Looking(step.name, resource.name))
    looks = _look_at(pipeline, [resource for _, resource in asked])
    if "settings" in looks and not looks["settings"].exists and any(s.exists for s in looks.values()):
        # Another run that is setting the pipeline up wrote them first, after the look at them.
        looks |= _look_at(pipeline, [resource for _, resource in asked if resource.name == "settings"])
    began = pipeline.aws.clock()
    within_s = _LOCAL_TAGS_WITHIN_S if pipeline.aws.place.is_local else _TAGS_WITHIN_S
    while unsure := [(s, r) for s, r in asked if _unsure(looks[r.name]) or looks[r.name].adoptable]:
        waited = pipeline.aws.clock() - began
        if waited >= within_s:
            break
        for step, resource in unsure:
            emit(Waiting(step.name, resource.name, NO_TAGS, waited))
        pipeline.aws.sleep(_TAGS_PAUSE_S)
        looks |= _look_at(pipeline, [resource for _, resource in unsure])
    return looks


def _look_at(pipeline: Pipeline, resources: Sequence[Resource]) -> Looks:
    return pipeline.aws.looks({resource.name: partial(observe, pipeline, resource) for resource in resources})


def _unsure(seen: Seen) -> bool:
    return seen.untagged and not seen.torn and not (seen.exists and seen.owned)


def _adopted(looks: Looks) -> Looks:
    """The same looks, where what `up` may take counts as ours."""
    return {name: replace(seen, owned=seen.owned or seen.adoptable) for name, seen in looks.items()}


def _foreign(resource: Resource, looks: Looks, resources: Mapping[str, Resource]) -> bool:
    """True if the resource, or the one it lives inside, exists and is not ours."""
    if looks[resource.name].foreign:
        return True
    return resource.within is not None and _foreign(resources[resource.within], looks, resources)


def _left_over(resource: Resource, looks: Looks, resources: Mapping[str, Resource]) -> bool:
    """Whether something that is not asked for is there, is ours, and would not go with another thing."""
    is_ours = looks[resource.name].exists and not _foreign(resource, looks, resources)
    return is_ours and resource.within is None


def _by_name(pipeline: Pipeline) -> dict[str, Resource]:
    return {resource.name: resource for _, resource in pipeline.resources()}


def states(pipeline: Pipeline, looks: Looks, settings: Settings) -> list[ResourceState]:
    """What a user reads in `status`; nothing is changed.

    Of what the settings do not ask for only that is told which is there although it should not.
    """
    resources = _by_name(pipeline)
    adopted = _adopted(looks)
    found = []
    for step, resource in pipeline.resources():
        seen = looks[resource.name]
        state: State = "ready"
        differences: tuple[str, ...] = ()
        if not resource.wanted(settings):
            if not _left_over(resource, looks, resources):
                continue
            state, differences = "differs", (f"remove {resource.name}: not used any more",)
        elif _foreign(resource, adopted, resources):
            state = "foreign"
            if seen.foreign:  # what is inside it goes without saying
                differences = _whose(resource, seen, pipeline.names)
        elif not seen.exists:
            state = "missing"
        elif not seen.ready:
            state, differences = "busy", (seen.detail,)
        elif resource.within is None and not resource.wanted(settings.at_rest):
            state, differences = "differs", (f"move the results out of {resource.name}: run imgpipe up",)
        else:
            differences = tuple(_differences(resource, seen, pipeline.names, settings))
            state = "differs" if differences else "ready"
        found.append(ResourceState(step.name, resource.name, state, differences))
    return found


def additions(pipeline: Pipeline, looks: Looks) -> dict[str, tuple[str, ...]]:
    """What others added that `up` leaves as it is, by resource; only where there is something to tell. Raises
    Problem."""
    resources = _by_name(pipeline)

    def one(resource: Resource) -> tuple[str, ...]:
        seen = looks[resource.name]
        if _foreign(resource, looks, resources):
            return seen.strays
        try:
            return (*seen.strays, *resource.additions(pipeline.aws, pipeline.names, seen))
        except AwsError as error:
            raise problem(error, f"look at what was added to {resource.name}") from error

    found = pipeline.aws.looks({name: partial(one, resource) for name, resource in resources.items()})
    return {name: told for name, told in found.items() if told}


def _differences(resource: Resource, seen: Seen, names: Names, settings: Settings) -> Iterator[str]:
    try:
        for change in resource.changes(seen, names, settings):
            yield f"{change.verb} {change.what}"
    except Problem as found:
        yield found.message


def refuse_foreign(pipeline: Pipeline, looks: Looks, settings: Settings | None = None) -> None:
    """Raise a Problem that names everything with our names that is not ours; with settings, of what they
    ask for."""
    foreign = [
        f"{resource.name} ({_called(resource, seen, pipeline.names) or seen.detail})"
        for _, resource in pipeline.resources(settings)
        if (seen := looks[resource.name]).foreign and not seen.adoptable
    ]
    if foreign:
        raise Problem(
            "not_ours",
            f"Something imgpipe did not make has the name of: {', '.join(foreign)} "
            f"(project {pipeline.names.project}). Nothing was changed.",
            hint=not_ours_hint(pipeline.names),
        )


def _called(resource: Resource, seen: Seen, names: Names) -> str:
    """Its kind and its name in AWS; empty where we may not look at it."""
    removals = list(resource.removals(seen, names)) if seen.facts else []
    return removals[-1].what if removals else ""


def _whose(resource: Resource, seen: Seen, names: Names) -> tuple[str, ...]:
    """Why something is not ours, and what to do about it."""
    what = _called(resource, seen, names) or resource.name
    if seen.tags is None:
        why = f"{what} is not this pipeline's{f': {seen.detail}' if seen.detail else ''}"
        return why, not_ours_hint(names)
    found = ", ".join(f"{key}={value}" for key, value in sorted(seen.tags.items()))
    return f"{what} has {f'the tags {found}' if found else 'no tags'}", not_ours_hint(names)


# --- up ------------------------------------------------------------------------------------------


def planned_changes(
    pipeline: Pipeline, looks: Looks, settings: Settings
) -> list[tuple[Step, Resource, Change]]:
    """Every call that `up` would send, in the order of the steps."""
    return [
        (step, resource, change)
        for step, resource in pipeline.resources(settings)
        for change in resource.changes(looks[resource.name], pipeline.names, settings)
    ]


def up(pipeline: Pipeline, looks: Looks, settings: Settings, emit: Emit) -> dict[str, Outcome]:
    """Make everything as it should be; by resource name. Raises Problem, and Overtaken."""
    refuse_foreign(pipeline, looks, settings)
    # What cannot be repaired stops before anything is changed.
    for _, resource in pipeline.resources(settings):
        if looks[resource.name].ready:
            list(resource.changes(looks[resource.name], pipeline.names, settings))
    stop = threading.Event()
    watch = Watch(pipeline.aws.clock, lambda settled: refuse_overtaken(pipeline, settled))

    def converge(step: Step, resource: Resource) -> Outcome:
        visit = Visit(pipeline, step, resource, emit, stop, watch)
        outcome = visit.converge(looks[resource.name], settings)
        if resource.name in SHARED:
            watch.settled[resource.name] = outcome.seen
        return outcome

    wanted = list(pipeline.resources(settings))
    needs = {resource.name: set(resource.needs) for _, resource in wanted}
    try:
        return in_order(wanted, needs, converge, pipeline.workers, stop)
    except Problem:
        with suppress(Problem):  # the first failure is the cause, not that this look fails too
            watch.look(now=True)  # what failed may be the doing of another run
        raise


def refuse_overtaken(pipeline: Pipeline, settled: Looks) -> None:
    """Look whether these resources are as they were when this run left them. Raises Overtaken."""
    for pause_s in (_SECOND_LOOK_S, 0.0):  # one look may be late: the second counts
        if not settled or look(pipeline, lambda _event: None, only=settled.keys()) == settled:
            return
        pipeline.aws.sleep(pause_s)
    raise Overtaken


# --- down ----------------------------------------------------------------------------------------


def planned_removals(
    pipeline: Pipeline, looks: Looks, emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[Removal]:
    """What is there and ours, with what is in it; tells of what is left alone. Raises Problem."""
    resources = _by_name(pipeline)
    going = []
    for step, resource in pipeline.resources():
        seen = looks[resource.name]
        is_foreign = _foreign(resource, looks, resources)
        for what, why in _left_alone(resource, seen, pipeline.names, keep, is_foreign=is_foreign):
            emit(Skipped(step.name, resource.name, what, why))
        if seen.exists and not is_foreign and resource.name not in keep:
            list(resource.removals(seen, pipeline.names))  # what would be refused stops before all else
            going.append((step, resource, seen))

    def counted(step: Step, resource: Resource, seen: Seen) -> Removal:
        try:
            return Removal(step, resource, seen, resource.contents(pipeline.aws, pipeline.names, seen))
        except AwsError as error:
            if error.code in GONE or not seen.ready:
                return Removal(step, resource, seen)
            raise problem(error, f"count what is in {resource.name}") from error

    return list(pipeline.aws.looks({one[1].name: partial(counted, *one) for one in going}).values())


def _left_alone(
    resource: Resource, seen: Seen, names: Names, keep: Collection[str], *, is_foreign: bool
) -> Iterator[tuple[str, str]]:
    """(what, why) of all that `down` leaves of one resource; why as in `Skipped`."""
    yield from ((stray, "stray") for stray in seen.strays)
    if not seen.exists:
        if _unsure(seen):
            yield resource.title, "untagged"
    elif is_foreign:
        if resource.within is None:
            why = "untagged" if _unsure(seen) else "unmarked" if seen.adoptable else "foreign"
            yield _called(resource, seen, names) or resource.name, why
    elif resource.name in keep:
        yield _called(resource, seen, names), "kept"


def down(
    pipeline: Pipeline, removals: Sequence[Removal], emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[str]:
    """Remove it all, then look at everything again; what is left by name (nothing, unless another run made
    it meanwhile). Raises Problem."""
    take_away(pipeline, removals, emit)
    return ours(pipeline, look(pipeline, lambda _event: None), keep)


def ours(pipeline: Pipeline, looks: Looks, keep: Collection[str] = ()) -> list[str]:
    """The names of what is there, ours, and not to be kept; without what goes together with another thing."""
    resources = _by_name(pipeline)
    return [
        name
        for name, resource in resources.items()
        if name not in keep and _left_over(resource, looks, resources)
    ]


def take_away(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> None:
    """Remove these resources, each once what needs it is gone. Raises Problem."""
    stop = threading.Event()
    seen = {removal.resource.name: removal.seen for removal in removals}

    def remove(step: Step, resource: Resource) -> Outcome:
        return Visit(pipeline, step, resource, emit, stop, None).remove(seen[resource.name])

    # Reversed: a resource goes once everything that needs it is gone.
    order = [(removal.step, removal.resource) for removal in reversed(removals)]
    users = {name: {r.name for _, r in order if name in r.needs} for name in seen}
    in_order(order, users, remove, pipeline.workers, stop)
