"""What holds for every resource of every step, whatever the steps are and wherever they stand.

A law names no resource and no service: a new resource is tried by it without a word added here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from imgpipe_cli.aws.iam.uses import Entry
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import apply, destroy, observe, permissions, plan
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import Call, Change, Context, Resource, Step
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Emit, Event, Settled, Skipped
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, SETTINGS, Killed, RecordingAws, fresh_account, nothing
from tests.support.inventory import inventory
from tests.support.retagging import retag

Connect = Callable[[], RecordingAws]


@dataclass(frozen=True)
class World:
    """Steps, and the account that they stand in. connect: a new run's way to it."""

    steps: Sequence[Step] = STEPS
    settings: Settings = SETTINGS
    names: Names = NAMES
    connect: Connect = RecordingAws

    @property
    def resources(self) -> dict[str, Resource]:
        """Those that these settings ask for, by name."""
        found = (resource for step in self.steps for resource in step.resources)
        return {resource.name: resource for resource in found if resource.wanted(self.settings)}

    def pipeline(self, aws: RecordingAws, *, workers: int = 8) -> Pipeline:
        return Pipeline(self.steps, aws, self.names, workers)

    def observe(self) -> Snapshot:
        return observe.snapshot(self.pipeline(self.connect()), nothing)

    def states(self) -> list[plan.ResourceState]:
        return plan.states(self.pipeline(self.connect()), self.observe(), self.settings)

    def up(self, aws: RecordingAws | None = None, *, workers: int = 8, emit: Emit = nothing) -> RecordingAws:
        """The run, with what it sent."""
        aws = aws or self.connect()
        line = self.pipeline(aws, workers=workers)
        snapshot = observe.snapshot(line, nothing)
        settings = migrate.begin(line, self.settings, snapshot)
        apply.apply(line, snapshot, settings, emit, lambda _stored: self.settings)
        return aws

    def down(
        self, aws: RecordingAws | None = None, *, workers: int = 8, emit: Emit = nothing
    ) -> RecordingAws:
        """The run, with what it sent. Nothing may be left."""
        aws = aws or self.connect()
        line = self.pipeline(aws, workers=workers)
        removals = destroy.planned_removals(line, observe.snapshot(line, nothing), emit)
        assert destroy.destroy(line, removals, emit) == []
        return aws

    def inventory(self, *services: str) -> dict[str, Any]:
        """All that is there of the services of these steps, or of those that are named."""
        own = {row.service for resource in self.resources.values() for row in resource.iam}
        return inventory(self.connect().client, services=services or sorted(own))


# --- what is there ---------------------------------------------------------------------------------


def nothing_is_seen(world: World, resource: Resource) -> None:
    """In an empty account."""
    assert not resource.observe(world.connect(), world.names).exists


def everything_is_managed(world: World) -> None:
    """After `up`: all that the settings ask for, ready and ours, and nothing else."""
    there = {name for name, seen in world.observe().items() if seen.exists and seen.ready and seen.owned}
    assert there == world.resources.keys()
    states = {state.resource: (state.state, state.drift) for state in world.states()}
    assert states == dict.fromkeys(there, ("ready", ()))


def a_second_up_writes_nothing(world: World) -> None:
    events: list[Event] = []
    assert world.up(emit=events.append).writes == []
    settled = {event.resource: event.changed for event in events if isinstance(event, Settled)}
    assert settled == dict.fromkeys(world.resources, False)


def down_leaves_nothing(world: World, before: Mapping[str, Any]) -> None:
    world.down()
    assert world.inventory() == before
    assert world.down().writes == []


def everything_is_in_the_inventory(world: World) -> None:
    found = world.inventory()
    assert [removal.what for removal in removals(world) if not _named(removal, found)] == []


def in_the_inventory(world: World, resource: Resource) -> dict[str, Any]:
    """The thing as an independent look at its service finds it; one at least."""
    removal = last_removal(world, resource)
    things = _named(removal, world.inventory(sent(removal).service))
    assert things
    return things


def _named(removal: Change, found: Mapping[str, Any]) -> dict[str, Any]:
    """Those whose name the removal tells."""
    words = removal.what.split()
    return {entry: _itself(one) for entry, one in found.items() if re.split("[ :]", entry)[-1] in words}


def _itself(found: Any) -> Any:
    """Without what the inventory tells by comparing it with the role and the token, which `down` removes."""
    if "variables" not in found:
        return found
    tags, variables = dict(found["tags"]), dict(found["variables"])
    tags.pop("RoleId")
    variables.pop("TOKEN_SHA256", None)
    return {**found, "tags": tags, "variables": variables}


def last_removal(world: World, resource: Resource) -> Change:
    """The change that removes the thing itself."""
    seen = resource.observe(world.connect(), world.names)
    *_, last = resource.removals(Context(seen, world.names))
    return last


def removals(world: World) -> list[Change]:
    """The last removal of everything that does not go together with another thing."""
    whole = [resource for resource in world.resources.values() if resource.parent is None]
    return [last_removal(world, resource) for resource in whole]


def sent(change: Change) -> Call:
    """The call of a change that is no routine."""
    assert isinstance(change.call, Call)
    return change.call


# --- what others do --------------------------------------------------------------------------------


def drift_is_repaired(
    world: World,
    do: Callable[[RecordingAws], object],
    shown: Mapping[str, tuple[str, ...]],
    calls: Sequence[str],
    *,
    clean: Mapping[str, Any] | None = None,
) -> None:
    """shown: resource -> the drift that `status` then shows, none: that it is missing. calls: all that
    `up` then sends, in order. clean: the inventory before, where it is known."""
    clean = world.inventory() if clean is None else clean
    do(world.connect())
    assert _drift(world) == shown != {}
    repairing = world.up(workers=1)
    assert [f"{service}.{operation}" for service, operation in repairing.writes] == list(calls)
    assert world.inventory() == clean
    assert _drift(world) == {}  # so one more `up` would send nothing


def _drift(world: World) -> dict[str, tuple[str, ...]]:
    found = [state for state in world.states() if state.state != "ready"]
    assert all(state.state == ("drifted" if state.drift else "missing") for state in found)
    return {state.resource: state.drift for state in found}


def a_twin_is_refused_and_left_alone(world: World, resource: Resource) -> None:
    """Something of another owner with our name: nothing is changed, and it is not removed."""
    removal = sent(last_removal(world, resource))
    retag(world.connect().client, removal.service, removal.params, {"Project": "another"})
    before = in_the_inventory(world, resource)
    guest = world.connect()
    with pytest.raises(Problem) as refused:
        world.up(guest)
    assert refused.value.code == "not_ours"
    assert resource.name in refused.value.message
    assert guest.writes == []
    events: list[Event] = []
    world.down(emit=events.append)
    assert resource.name in {event.resource for event in events if isinstance(event, Skipped)}
    assert in_the_inventory(world, resource) == before


# --- what is sent ----------------------------------------------------------------------------------


def every_call_has_its_permission(world: World) -> None:
    """From an empty account on: the policy of a command has all that it plans and all that it sends."""
    line = world.pipeline(world.connect())
    planned = plan.planned(line, observe.snapshot(line, nothing), world.settings)
    operations = {"up": world.up().sent | _named_by(change for _, _, change in planned)}
    operations["status"] = _sent_by_status(world)
    seen = world.observe()
    going = [one.removals(Context(seen[name], world.names)) for name, one in world.resources.items()]
    operations["down"] = world.down().sent | _named_by(change for changes in going for change in changes)
    calls = permissions.calls_of(world.steps)
    without = {
        f"{command} sends {service}.{operation}"
        for command, told in operations.items()
        for service, operation in told
        if command not in calls.get((service, operation), Entry(())).commands
    }
    assert not without, f"no row in the resource's `iam`: {sorted(without)}"


def _named_by(changes: Iterable[Change]) -> set[tuple[str, str]]:
    calls = [change.call for change in changes]
    named = [[call.label] if isinstance(call, Call) else call.operations for call in calls]
    labels = [label for labels in named for label in labels]
    return {(service, operation) for service, _, operation in (label.partition(".") for label in labels)}


def _sent_by_status(world: World) -> set[tuple[str, str]]:
    aws = world.connect()
    line = world.pipeline(aws)
    plan.unmanaged_changes(line, observe.snapshot(line, nothing))
    return aws.sent


# --- runs that die ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undisturbed:
    """The calls of `up` and of `down` without any fault, one after the other, and what is there between."""

    up: list[tuple[str, str]]
    down: list[tuple[str, str]]
    there: dict[str, Any]

    @classmethod
    def of(cls, world: World) -> Undisturbed:
        with fresh_account():
            first = world.up(workers=1)
            there = world.inventory()
            return cls(first.writes, world.down(workers=1).writes, there)


def a_killed_up_is_finished_by_the_next(world: World, clean: Undisturbed, die_after: int) -> None:
    """Exactly the remaining calls: nothing is done twice, nothing is left out."""
    with fresh_account():
        killed = RecordingAws(die_after=die_after)
        with pytest.raises(Killed):
            world.up(killed, workers=1)
        resumed = world.up(workers=1)
        assert world.inventory() == clean.there, f"killed after call {die_after}: {killed.writes[-1]}"
        assert killed.writes == clean.up[: die_after + 1]
        assert Counter(resumed.writes) == Counter(clean.up[die_after + 1 :])


def a_killed_down_is_finished_by_the_next(world: World, die_after: int, fill: Callable[[], object]) -> None:
    """fill: brings the pipeline into the empty account."""
    with fresh_account():
        fill()
        killed = RecordingAws(die_after=die_after)
        with pytest.raises(Killed):
            world.down(killed, workers=1)
        world.down(workers=1)
        assert world.inventory() == {}, f"killed after call {die_after}: {killed.writes[-1]}"
