"""Look at what is there, and at whose it is; nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import Observed, Resource
from imgpipe_cli.events import Emit, Looking, Waiting

NO_TAGS = "its tags are not visible yet"
# The tags of a thing made by a run that was killed a moment ago show within seconds.
_TAGS_WITHIN_S = 30.0
_TAGS_PAUSE_S = 1.0
# The local cloud's show at once, but to two looks side by side: the thing may be made between them.
_LOCAL_TAGS_WITHIN_S = 1.0

Snapshot = dict[str, Observed]


def observe(pipeline: Pipeline, resource: Resource) -> Observed:
    """One look at one resource. Raises Problem."""
    try:
        return resource.observe(pipeline.aws, pipeline.names)
    except AwsError as error:
        raise problem(error, f"look at {resource.name}") from error


def snapshot(pipeline: Pipeline, emit: Emit, only: Collection[str] = ()) -> Snapshot:
    """Observe every resource, or only those of these names, side by side. Raises Problem.

    A resource without tags is observed again for a while: it may be ours, made a moment ago.
    """
    asked = [(step, resource) for step, resource in pipeline.resources() if not only or resource.name in only]
    for step, resource in asked:
        emit(Looking(step.name, resource.name))
    found = _observe_each(pipeline, [resource for _, resource in asked])
    if _is_late(found):
        found |= _observe_each(pipeline, [resource for _, resource in asked if resource.name == "settings"])
    began = pipeline.aws.clock()
    within_s = _LOCAL_TAGS_WITHIN_S if pipeline.aws.place.is_local else _TAGS_WITHIN_S
    while unsure := [(s, r) for s, r in asked if is_unsure(found[r.name]) or found[r.name].unclaimed]:
        waited = pipeline.aws.clock() - began
        if waited >= within_s:
            break
        for step, resource in unsure:
            emit(Waiting(step.name, resource.name, NO_TAGS, waited))
        pipeline.aws.sleep(_TAGS_PAUSE_S)
        found |= _observe_each(pipeline, [resource for _, resource in unsure])
    return found


def _is_late(found: Snapshot) -> bool:
    """Whether the settings are missing beside other resources: another run that is setting the pipeline up
    may have written them, first of all, after they were observed."""
    is_missing = "settings" in found and not found["settings"].exists
    return is_missing and any(observed.exists for observed in found.values())


def _observe_each(pipeline: Pipeline, resources: Sequence[Resource]) -> Snapshot:
    return pipeline.aws.gather(
        {resource.name: partial(observe, pipeline, resource) for resource in resources}
    )


def by_name(pipeline: Pipeline) -> dict[str, Resource]:
    return {resource.name: resource for _, resource in pipeline.resources()}


def is_unsure(observed: Observed) -> bool:
    return observed.untagged and not observed.indeterminate and not (observed.exists and observed.owned)


def adopted(snapshot: Snapshot) -> Snapshot:
    """The same looks, where what `up` may take counts as ours."""
    return {
        name: replace(observed, owned=observed.owned or observed.unclaimed)
        for name, observed in snapshot.items()
    }


def is_not_owned(resource: Resource, snapshot: Snapshot, resources: Mapping[str, Resource]) -> bool:
    """True if the resource, or the one it lives inside, exists and is not ours."""
    if snapshot[resource.name].not_owned:
        return True
    return resource.parent is not None and is_not_owned(resources[resource.parent], snapshot, resources)


def is_left_over(resource: Resource, snapshot: Snapshot, resources: Mapping[str, Resource]) -> bool:
    """Whether something that is not asked for is there, is ours, and would not go with another thing."""
    is_owned = snapshot[resource.name].exists and not is_not_owned(resource, snapshot, resources)
    return is_owned and resource.parent is None


def not_ours_hint(names: Names) -> str:
    """What to do where something that is not ours has one of our names."""
    tags = " and ".join(f"{key}={value}" for key, value in names.tags.items())
    return f"Choose another name with --project; or, if it is this pipeline's, give it back its tags {tags}."
