"""The only loops over the steps: up, dry run, status, down.

Each resource converges on its own: look, change, look again, until a fresh look leaves nothing to
change. Resources that do not need each other converge side by side; a wait happens only where
something needs what is being waited for. There is no list of what was done: an interrupted run is
continued by running again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

from imgpipe_cli.aws import Aws, AwsError, problem
from imgpipe_cli.events import Changing, Emit, Looking, Settled, Skipped, Waiting
from imgpipe_cli.names import Names
from imgpipe_cli.problems import ExitCode, Problem
from imgpipe_cli.settings import Settings
from imgpipe_cli.steps.base import GONE, Change, Passing, Resource, Seen, Step

State = Literal["ready", "busy", "missing", "differs", "foreign"]
Looks = dict[str, Seen]

# "It is there already": somebody's, or ours from a call whose answer got lost. The next look tells.
_EXISTS = frozenset(
    {
        "EntityAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "BucketAlreadyExists",
        "ResourceInUseException",
        "ResourceAlreadyExistsException",
        "ResourceConflictException",
        "ParameterAlreadyExists",
        "QueueAlreadyExists",
        "QueueNameExists",
    }
)
_LOOK_AGAIN = Passing("", why="it is there already, or its answer got lost: looking again", limit_s=60)
_BUSY_LIMIT_S = 600.0
_VISIBLE_LIMIT_S = 120.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
# The same change asked for a third time in spite of two good answers is a defect of imgpipe.
_REPEATS = 3


@dataclass(frozen=True)
class Pipeline:
    """The steps of one project in one place. workers: how many resources converge at once."""

    steps: Sequence[Step]
    aws: Aws
    names: Names
    workers: int = 16

    def resources(self, settings: Settings | None = None) -> Iterator[tuple[Step, Resource]]:
        """All resources, or those that a pipeline with these settings has."""
        for step in self.steps:
            for resource in step.resources:
                if settings is None or resource.wanted(settings):
                    yield step, resource


@dataclass(frozen=True)
class ResourceState:
    step: str
    resource: str
    state: State
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A resource that is as it should be, or gone: whether anything was sent, and the last look."""

    changed: bool
    seen: Seen


@dataclass(frozen=True)
class Removal:
    """What `down` will do with one resource, and what is lost with it."""

    step: Step
    resource: Resource
    seen: Seen
    contents: Mapping[str, int] = field(default_factory=dict)


# --- looking -------------------------------------------------------------------------------------


def look(pipeline: Pipeline, emit: Emit) -> Looks:
    """Look at every resource, side by side. Raises Problem."""

    def one(step: Step, resource: Resource) -> Seen:
        emit(Looking(step.name, resource.name))
        return _observe(pipeline, resource)

    with ThreadPoolExecutor(max(len(list(pipeline.resources())), 1), thread_name_prefix="look") as pool:
        futures = {r.name: pool.submit(one, step, r) for step, r in pipeline.resources()}
        return {name: future.result() for name, future in futures.items()}


def _observe(pipeline: Pipeline, resource: Resource) -> Seen:
    try:
        return resource.observe(pipeline.aws, pipeline.names)
    except AwsError as error:
        raise problem(error, f"look at {resource.name}") from error


def _foreign(resource: Resource, looks: Looks, resources: Mapping[str, Resource]) -> bool:
    """True if the resource, or the one it lives inside, exists and is not ours."""
    seen = looks[resource.name]
    if seen.exists and not seen.owned:
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
    found = []
    for step, resource in pipeline.resources():
        seen = looks[resource.name]
        state: State = "ready"
        differences: tuple[str, ...] = ()
        if not resource.wanted(settings):
            if not _left_over(resource, looks, resources):
                continue
            state, differences = "differs", (f"remove {resource.name}: not used any more",)
        elif _foreign(resource, looks, resources):
            state = "foreign"
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
        f"{resource.name} ({looks[resource.name].detail})" if looks[resource.name].detail else resource.name
        for _, resource in pipeline.resources(settings)
        if looks[resource.name].exists and not looks[resource.name].owned
    ]
    if foreign:
        raise Problem(
            "not_ours",
            f"Something imgpipe did not make has the name of: {', '.join(foreign)} "
            f"(project {pipeline.names.project}). Nothing was changed.",
            hint="Choose another name with --project; imgpipe status shows what is there.",
        )


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
    """Make everything as it should be; by resource name. Raises Problem."""
    refuse_foreign(pipeline, looks, settings)
    # What cannot be repaired stops before anything is changed.
    for _, resource in pipeline.resources(settings):
        if looks[resource.name].exists and looks[resource.name].ready:
            list(resource.changes(looks[resource.name], pipeline.names, settings))
    stop = threading.Event()

    def converge(step: Step, resource: Resource) -> Outcome:
        visit = _Visit(pipeline, step, resource, emit, stop)
        return visit.converge(looks[resource.name], settings)

    wanted = list(pipeline.resources(settings))
    needs = {resource.name: set(resource.needs) for _, resource in wanted}
    return _in_order(wanted, needs, converge, pipeline.workers, stop)


# --- down ----------------------------------------------------------------------------------------


def planned_removals(
    pipeline: Pipeline, looks: Looks, emit: Emit, *, keep: frozenset[str] = frozenset()
) -> list[Removal]:
    """What is there and ours, with what is in it; tells of what is left alone. Raises Problem."""
    resources = _by_name(pipeline)
    going = []
    for step, resource in pipeline.resources():
        seen = looks[resource.name]
        if not seen.exists:
            continue
        if _foreign(resource, looks, resources):
            emit(Skipped(step.name, resource.name, resource.name, "foreign"))
        elif resource.name in keep:
            emit(Skipped(step.name, resource.name, resource.name, "kept"))
        else:
            going.append((step, resource, seen))

    def counted(step: Step, resource: Resource, seen: Seen) -> Removal:
        try:
            return Removal(step, resource, seen, resource.contents(pipeline.aws, pipeline.names, seen))
        except AwsError as error:
            if error.code in GONE or not seen.ready:
                return Removal(step, resource, seen)
            raise problem(error, f"count what is in {resource.name}") from error

    with ThreadPoolExecutor(max(len(going), 1), thread_name_prefix="count") as pool:
        return list(pool.map(lambda one: counted(*one), going))


def down(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> list[str]:
    """Remove it all, then look at everything again; what is left by name (nothing). Raises Problem."""
    take_away(pipeline, removals, emit)
    looks = look(pipeline, lambda _event: None)
    names = [removal.resource.name for removal in removals]
    return [name for name in names if looks[name].exists and looks[name].owned]


def take_away(pipeline: Pipeline, removals: Sequence[Removal], emit: Emit) -> None:
    """Remove these resources, each once what needs it is gone. Raises Problem."""
    stop = threading.Event()
    seen = {removal.resource.name: removal.seen for removal in removals}

    def remove(step: Step, resource: Resource) -> Outcome:
        return _Visit(pipeline, step, resource, emit, stop).remove(seen[resource.name])

    # Reversed: a resource goes once everything that needs it is gone.
    order = [(removal.step, removal.resource) for removal in reversed(removals)]
    users = {name: {r.name for _, r in order if name in r.needs} for name in seen}
    _in_order(order, users, remove, pipeline.workers, stop)


# --- one resource --------------------------------------------------------------------------------


class _Stopped(Exception):
    """Another resource failed or the user interrupted: stop at the next pause."""


class _Visit:
    """One resource on its way to what it should be."""

    def __init__(
        self, pipeline: Pipeline, step: Step, resource: Resource, emit: Emit, stop: threading.Event
    ) -> None:
        self.pipeline = pipeline
        self.aws = pipeline.aws
        self.step = step
        self.resource = resource
        self.emit = emit
        self.stop = stop
        self.changed = False
        self._waiting_for = ""
        self._waiting_since = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def converge(self, seen: Seen, settings: Settings) -> Outcome:
        """Look, change, look again, until nothing is left to change."""
        created = False
        sent: list[tuple[Change, ...]] = []
        seen = self.resource.completed(seen, self.aws, self.pipeline.names)
        while True:
            if seen.exists and not seen.owned and not created:
                raise self._not_ours()
            if seen.exists and not (seen.ready and seen.owned):
                self._pause(seen.detail or "its tags are not visible yet", _BUSY_LIMIT_S)
            elif created and not seen.exists:
                self._pause("not visible yet", _VISIBLE_LIMIT_S)
            else:
                todo = tuple(self.resource.changes(seen, self.pipeline.names, settings))
                if not todo:
                    return self._settled(seen)
                if sent.count(todo) >= _REPEATS:
                    raise self._does_not_settle(todo)
                if todo in sent:  # sent with success, and not visible yet
                    self._pause("not visible yet", _VISIBLE_LIMIT_S)
                passing = self._send(todo, side_by_side=self.resource.side_by_side)
                if passing is not None:
                    self._pause(passing.why, passing.limit_s)
                elif any(change.sendable for change in todo):
                    sent.append(todo)
                    created = created or not seen.exists
            seen = _observe(self.pipeline, self.resource)

    def remove(self, seen: Seen) -> Outcome:
        """Send the removals until a look finds nothing."""
        while seen.exists:
            todo = tuple(self.resource.removals(seen, self.pipeline.names))
            if not todo and self.resource.within:
                break  # goes together with the resource it is within
            if not seen.owned:
                raise self._not_ours()
            passing = self._one_after_the_other(todo)
            seen = _observe(self.pipeline, self.resource)
            if seen.exists:
                why = passing.why if passing else seen.detail or "still there"
                self._pause(why, passing.limit_s if passing else _BUSY_LIMIT_S)
        return self._settled(seen)

    def _settled(self, seen: Seen) -> Outcome:
        self.emit(Settled(self.step.name, self.resource.name, changed=self.changed))
        return Outcome(self.changed, seen)

    def _send(self, todo: tuple[Change, ...], *, side_by_side: bool = False) -> Passing | None:
        """Send what can be sent now; the error that passes with time if there was one."""
        sendable = [change for change in todo if change.sendable]
        if self.resource.serial:
            sendable = sendable[:1]
        if side_by_side and min(len(sendable), self.pipeline.workers) > 1:
            with ThreadPoolExecutor(len(sendable), thread_name_prefix="change") as pool:
                return next((p for p in pool.map(self._send_one, sendable) if p), None)
        return self._one_after_the_other(sendable)

    def _one_after_the_other(self, todo: Sequence[Change]) -> Passing | None:
        return next((passing for change in todo if (passing := self._send_one(change))), None)

    def _send_one(self, change: Change) -> Passing | None:
        if self.stop.is_set():
            raise _Stopped
        self.emit(Changing(self.step.name, self.resource.name, change.verb, change.what))
        self.changed = True
        try:
            change.call.run(self.aws, self.emit)
        except AwsError as error:
            for passing in change.call.passing:
                if passing.matches(error):
                    return Passing(error.code, why=f"{passing.why} ({error.code})", limit_s=passing.limit_s)
            removing = change.verb in ("delete", "remove", "empty", "detach")
            if removing and error.code in GONE:
                return None
            if not removing and error.code in _EXISTS:
                return _LOOK_AGAIN
            if change.call.once and error.lost:
                return _LOOK_AGAIN
            raise problem(error, f"{change.verb} {change.what}") from error
        return None

    def _pause(self, why: str, limit_s: float) -> None:
        """Wait a little, longer each time, at most limit_s for one reason in a row."""
        now = self.aws.clock()
        if why != self._waiting_for:
            self._waiting_for, self._waiting_since, self._pause_s = why, now, _FIRST_PAUSE_S
        waited = now - self._waiting_since
        if waited > limit_s:
            raise Problem(
                "timeout",
                f"{self.resource.name} is not ready after {waited:.0f} s: {why}.",
                hint="Run the command again: it continues here. imgpipe status shows the state.",
                exit_code=ExitCode.PENDING,
            )
        self.emit(Waiting(self.step.name, self.resource.name, why, waited))
        if self.stop.is_set():
            raise _Stopped
        self.aws.sleep(self._pause_s)
        if self.stop.is_set():
            raise _Stopped
        self._pause_s = min(self._pause_s * 1.5, _LONGEST_PAUSE_S)

    def _not_ours(self) -> Problem:
        return Problem(
            "not_ours",
            f"{self.resource.name} exists and imgpipe did not make it; it was not touched.",
            hint="Choose another name with --project.",
        )

    def _does_not_settle(self, todo: tuple[Change, ...]) -> Problem:
        what = "; ".join(f"{change.verb} {change.what}" for change in todo)
        return Problem(
            "does_not_settle",
            f"{self.resource.name} still differs although AWS accepted the change {_REPEATS} times: {what}.",
            hint="This is a defect of imgpipe or of the endpoint: please report it with --verbose output.",
        )


def _in_order(
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
    with ThreadPoolExecutor(workers, thread_name_prefix="step") as pool:
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
        raise next((error for error in failures if not isinstance(error, _Stopped)), failures[0])
    return done
