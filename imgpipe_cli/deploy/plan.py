"""Compare a snapshot with the settings: the state of each resource, its drift, the calls that `up` sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.observe import Snapshot, adopted, by_name, is_left_over, is_not_owned, not_ours_hint
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import Change, Context, Observed, Resource, Step
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.settings import Settings

State = Literal["ready", "busy", "missing", "drifted", "not_owned"]


@dataclass(frozen=True)
class ResourceState:
    step: str
    resource: str
    state: State
    drift: tuple[str, ...] = ()


def states(pipeline: Pipeline, snapshot: Snapshot, settings: Settings) -> list[ResourceState]:
    """What a user reads in `status`; nothing is changed.

    Of what the settings do not ask for only that is told which is there although it should not.
    """
    resources = by_name(pipeline)
    with_unclaimed = adopted(snapshot)
    found = []
    for step, resource in pipeline.resources():
        observed = snapshot[resource.name]
        state: State = "ready"
        drift: tuple[str, ...] = ()
        if not resource.wanted(settings):
            if not is_left_over(resource, snapshot, resources):
                continue
            state, drift = "drifted", (f"remove {resource.name}: not used any more",)
        elif is_not_owned(resource, with_unclaimed, resources):
            state = "not_owned"
            if observed.not_owned:  # what is inside it goes without saying
                drift = _whose(resource, observed, pipeline.names)
        elif not observed.exists:
            state = "missing"
        elif not observed.ready:
            state, drift = "busy", (observed.detail,)
        elif resource.parent is None and not resource.wanted(settings.at_rest):
            state, drift = "drifted", (f"migrate the results out of {resource.name}: run imgpipe up",)
        else:
            drift = tuple(_drift(resource, observed, pipeline.names, settings))
            state = "drifted" if drift else "ready"
        found.append(ResourceState(step.name, resource.name, state, drift))
    return found


def unmanaged_changes(pipeline: Pipeline, snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """What others added that `up` leaves as it is, by resource; only where there is something to tell. Raises
    Problem."""
    resources = by_name(pipeline)

    def one(resource: Resource) -> tuple[str, ...]:
        observed = snapshot[resource.name]
        if is_not_owned(resource, snapshot, resources):
            return observed.orphans
        try:
            return (*observed.orphans, *resource.unmanaged_changes(pipeline.aws, pipeline.names, observed))
        except AwsError as error:
            raise problem(error, f"read the additions to {resource.name}") from error

    found = pipeline.aws.gather({name: partial(one, resource) for name, resource in resources.items()})
    return {name: told for name, told in found.items() if told}


def _drift(resource: Resource, observed: Observed, names: Names, settings: Settings) -> Iterator[str]:
    try:
        for change in resource.diff(Context(observed, names, settings)):
            yield f"{change.verb} {change.what}"
    except Problem as found:
        yield found.message


def refuse_not_owned(pipeline: Pipeline, snapshot: Snapshot, settings: Settings | None = None) -> None:
    """Raise a Problem that names everything with our names that is not ours; with settings, of what they
    ask for."""
    not_owned = [
        f"{resource.name} ({called(resource, observed, pipeline.names) or observed.detail})"
        for _, resource in pipeline.resources(settings)
        if (observed := snapshot[resource.name]).not_owned and not observed.unclaimed
    ]
    if not_owned:
        raise Problem(
            "not_ours",
            f"Something imgpipe did not make has the name of: {', '.join(not_owned)} "
            f"(project {pipeline.names.project}). Nothing was changed.",
            hint=not_ours_hint(pipeline.names),
        )


def called(resource: Resource, observed: Observed, names: Names) -> str:
    """Its kind and its name in AWS; empty where we may not look at it."""
    removals = list(resource.removals(Context(observed, names))) if observed.facts else []
    return removals[-1].what if removals else ""


def _whose(resource: Resource, observed: Observed, names: Names) -> tuple[str, ...]:
    """Why something is not ours, and what to do about it."""
    what = called(resource, observed, names) or resource.name
    if observed.tags is None:
        why = f"{what} is not this pipeline's{f': {observed.detail}' if observed.detail else ''}"
        return why, not_ours_hint(names)
    found = ", ".join(f"{key}={value}" for key, value in sorted(observed.tags.items()))
    return f"{what} has {f'the tags {found}' if found else 'no tags'}", not_ours_hint(names)


def planned(
    pipeline: Pipeline, snapshot: Snapshot, settings: Settings
) -> list[tuple[Step, Resource, Change]]:
    """Every call that `up` would send, in the order of the steps."""
    return [
        (step, resource, change)
        for step, resource in pipeline.resources(settings)
        for change in resource.diff(Context(snapshot[resource.name], pipeline.names, settings))
    ]
