"""The only loops over the steps: up, dry run, status, down.

Each resource converges on its own: look, change, look again, until a fresh look leaves nothing to
change. Resources that do not need each other converge side by side; a wait happens only where
something needs what is being waited for. There is no list of what was done: an interrupted run is
continued by running again.

Nothing is locked either: another run may act at the same time. What meets its doing looks again; whoever
shares a value with others that has changed meanwhile (the settings, the token, the API's id) is `Overtaken`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Literal

from imgpipe_cli.aws import Aws, AwsError
from imgpipe_cli.aws_problems import problem, sentence
from imgpipe_cli.events import Changing, Emit, Looking, Settled, Skipped, Waiting
from imgpipe_cli.names import Names
from imgpipe_cli.problems import ExitCode, Problem
from imgpipe_cli.settings import Settings
from imgpipe_cli.steps.base import GONE, Change, Overtaken, Passing, Resource, Seen, Step

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
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
# AWS shows a change that it has taken within seconds; after this time it is sent again.
_SHOWN_WITHIN_S = 30.0
# The same change asked for a third time in spite of two good answers is a defect of imgpipe.
_REPEATS = 3
# How often a run that waits looks whether another one has changed or removed the settings.
_OVERTAKEN_EVERY_S = 5.0
# What several resources hold a copy of: with another value of these, all of them are wrong.
SHARED = ("settings", "token", "api")
_SECOND_LOOK_S = 1.0


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


def look(pipeline: Pipeline, emit: Emit, only: Collection[str] = ()) -> Looks:
    """Look at every resource, or only at those of these names, side by side. Raises Problem."""

    def one(step: Step, resource: Resource) -> Seen:
        emit(Looking(step.name, resource.name))
        return _observe(pipeline, resource)

    asked = [(step, resource) for step, resource in pipeline.resources() if not only or resource.name in only]
    with ThreadPoolExecutor(max(len(asked), 1), thread_name_prefix="look") as pool:
        futures = {resource.name: pool.submit(one, step, resource) for step, resource in asked}
        return {name: future.result() for name, future in futures.items()}


def _observe(pipeline: Pipeline, resource: Resource) -> Seen:
    try:
        return resource.observe(pipeline.aws, pipeline.names)
    except AwsError as error:
        raise problem(error, f"look at {resource.name}") from error


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
        f"{resource.name} ({_called(resource, seen, pipeline.names) or seen.detail})"
        for _, resource in pipeline.resources(settings)
        if (seen := looks[resource.name]).foreign
    ]
    if foreign:
        raise Problem(
            "not_ours",
            f"Something imgpipe did not make has the name of: {', '.join(foreign)} "
            f"(project {pipeline.names.project}). Nothing was changed.",
            hint=_not_ours_hint(pipeline.names),
        )


def _called(resource: Resource, seen: Seen, names: Names) -> str:
    """Its kind and its name in AWS; empty where we may not look at it."""
    removals = list(resource.removals(seen, names)) if seen.facts else []
    return removals[-1].what if removals else ""


def _not_ours_hint(names: Names) -> str:
    tags = " and ".join(f"{key}={value}" for key, value in names.tags.items())
    return f"Choose another name with --project; or, if it is this pipeline's, give it back its tags {tags}."


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
    watch = _Watch(pipeline)

    def converge(step: Step, resource: Resource) -> Outcome:
        visit = _Visit(pipeline, step, resource, emit, stop, watch)
        outcome = visit.converge(looks[resource.name], settings)
        if resource.name in SHARED:
            watch.settled[resource.name] = outcome.seen
        return outcome

    wanted = list(pipeline.resources(settings))
    needs = {resource.name: set(resource.needs) for _, resource in wanted}
    try:
        return _in_order(wanted, needs, converge, pipeline.workers, stop)
    except Problem:
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
        if not seen.exists:
            continue
        if _foreign(resource, looks, resources):
            if resource.within is None:
                what = _called(resource, seen, pipeline.names) or resource.name
                emit(Skipped(step.name, resource.name, what, "foreign"))
        elif resource.name in keep:
            emit(Skipped(step.name, resource.name, _called(resource, seen, pipeline.names), "kept"))
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
        return _Visit(pipeline, step, resource, emit, stop, None).remove(seen[resource.name])

    # Reversed: a resource goes once everything that needs it is gone.
    order = [(removal.step, removal.resource) for removal in reversed(removals)]
    users = {name: {r.name for _, r in order if name in r.needs} for name in seen}
    _in_order(order, users, remove, pipeline.workers, stop)


# --- one resource --------------------------------------------------------------------------------


class _Stopped(Exception):
    """Another resource failed or the user interrupted: stop at the next pause."""


class _Watch:
    """Whether what this run has settled for several resources is still so."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.settled: Looks = {}
        self._pipeline = pipeline
        self._looking = threading.Lock()
        self._looked_at = pipeline.aws.clock()

    def look(self, *, now: bool) -> None:
        """Look, if now is asked for or the last look was a while ago. Raises Overtaken."""
        with self._looking:
            clock = self._pipeline.aws.clock()
            if now or clock - self._looked_at >= _OVERTAKEN_EVERY_S:
                self._looked_at = clock
                refuse_overtaken(self._pipeline, dict(self.settled))


class _Visit:
    """One resource on its way to what it should be."""

    def __init__(
        self,
        pipeline: Pipeline,
        step: Step,
        resource: Resource,
        emit: Emit,
        stop: threading.Event,
        watch: _Watch | None,
    ) -> None:
        self.pipeline = pipeline
        self.aws = pipeline.aws
        self.step = step
        self.resource = resource
        self.emit = emit
        self.stop = stop
        self.watch = watch
        self.changed = False
        # The changes that AWS took, and when; whether one made it; when AWS said that it is there already.
        self._taken: list[tuple[Change, float]] = []
        self._made = False
        self._appeared, self._appeared_at = _LOOK_AGAIN, -math.inf
        self._waiting_for = ""
        self._waiting_since = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def converge(self, seen: Seen, settings: Settings) -> Outcome:
        """Look, change, look again, until nothing is left to change."""
        blocked = False
        first = seen = self.resource.completed(seen, self.aws, self.pipeline.names)
        while True:
            if not self._waited(seen):
                todo = tuple(self.resource.changes(seen, self.pipeline.names, settings))
                if not todo:
                    return self._settled(seen)
                if self.resource.last_counts and self._taken and seen != first:
                    raise Overtaken
                sendable = [change for change in todo if change.sendable]
                if blocked and not sendable:
                    raise Overtaken  # what it needs was there, and is gone
                blocked = not sendable
                passing = self._send_due(sendable)
                if passing is not None:
                    self._pause(passing)
                elif sendable:
                    self._made = self._made or not seen.exists
            seen = _observe(self.pipeline, self.resource)

    def _waited(self, seen: Seen) -> bool:
        """Pause where nothing can be changed yet; whether that was so."""
        # What was missing at first may be another run's, or ours from a call whose answer got lost.
        lately = self.aws.clock() - self._appeared_at < _SHOWN_WITHIN_S
        if seen.foreign and not self._made and not lately:
            raise self._not_ours()
        if seen.exists and not (seen.ready and seen.owned):
            self._pause(Passing("", why=seen.detail or "its tags are not visible yet", limit_s=_BUSY_LIMIT_S))
            return True
        if not seen.exists and (self._made or lately):
            self._pause(self._not_visible() if self._made else self._appeared)
            return True
        return False

    def _send_due(self, changes: Sequence[Change]) -> Passing | None:
        """Send what AWS has not taken yet, or a while ago and does not show; why it is to be waited."""
        due = [change for change in changes if not self._lately(change)]
        again = [change for change in due if self._times(change)]
        if again:
            self._look_out()  # another run may have undone it
        if worn := [change for change in again if self._times(change) >= _REPEATS]:
            raise self._does_not_settle(worn)
        return self._send(due) if due or not changes else self._not_visible()

    def _lately(self, change: Change) -> bool:
        since = self.aws.clock() - _SHOWN_WITHIN_S
        return any(taken == change and at > since for taken, at in self._taken)

    def _times(self, change: Change) -> int:
        return sum(taken == change for taken, _ in self._taken)

    def _not_visible(self) -> Passing:
        return Passing("", why="not visible yet", limit_s=self.resource.visible_within_s)

    def remove(self, seen: Seen) -> Outcome:
        """Send the removals until a look finds nothing."""
        sent: tuple[str, ...] = ()
        sent_at = -math.inf
        while seen.exists:
            todo = tuple(self.resource.removals(seen, self.pipeline.names))
            if not todo and self.resource.within:
                break  # goes together with the resource it is within
            if seen.foreign:
                raise self._not_ours()
            passing, wanted = None, tuple(change.what for change in todo)
            if not seen.torn and (wanted != sent or self.aws.clock() - sent_at >= _SHOWN_WITHIN_S):
                passing = self._one_after_the_other(todo)
                sent, sent_at = () if passing else wanted, self.aws.clock()
            seen = _observe(self.pipeline, self.resource)
            if seen.exists:
                self._pause(passing or Passing("", why=seen.detail or "still there", limit_s=_BUSY_LIMIT_S))
        return self._settled(seen)

    def _settled(self, seen: Seen) -> Outcome:
        self.emit(Settled(self.step.name, self.resource.name, changed=self.changed))
        return Outcome(self.changed, seen)

    def _send(self, changes: Sequence[Change]) -> Passing | None:
        """Send these; the error that passes with time if there was one."""
        if self.resource.serial:
            changes = changes[:1]
        if self.resource.side_by_side and min(len(changes), self.pipeline.workers) > 1:
            with ThreadPoolExecutor(len(changes), thread_name_prefix="change") as pool:
                # All answers are awaited before the first that passes counts: one beside it may be a failure.
                answers = list(pool.map(self._send_one, changes))
            return next((passing for passing in answers if passing), None)
        return self._one_after_the_other(changes)

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
            if change.removes and error.code in GONE:
                return None
            for passing in change.call.passing:
                if passing.matches(error):
                    if passing.outdated:
                        self.aws.forget(passing.outdated)
                    return replace(passing, why=f"{passing.why} ({error.code})", said=error.message)
            if not change.removes and error.code in _EXISTS:
                self._appeared, self._appeared_at = replace(_LOOK_AGAIN, said=error.message), self.aws.clock()
                return self._appeared
            if change.call.once and error.lost:
                return replace(_LOOK_AGAIN, said=error.message)
            raise problem(error, f"{change.verb} {change.what}") from error
        self._taken.append((change, self.aws.clock()))
        self._made = self._made or change.verb == "create"
        return None

    def _pause(self, passing: Passing) -> None:
        """Wait a little, longer each time, at most as long as it may take for one reason in a row."""
        now, why = self.aws.clock(), passing.why
        if why != self._waiting_for:
            self._waiting_for, self._waiting_since, self._pause_s = why, now, _FIRST_PAUSE_S
        waited = now - self._waiting_since
        if waited > passing.limit_s and self.resource.last_counts:
            raise Overtaken  # what does not come was removed or changed back
        if waited > passing.limit_s:
            said = f" AWS says: {sentence(passing.said)}" if passing.said else ""
            raise Problem(
                "timeout",
                f"{self.resource.name} is not ready after {waited:.0f} s: {why}.{said}",
                hint=passing.hint
                or "Run the command again: it continues here. imgpipe status shows the state.",
                exit_code=ExitCode.PENDING,
            )
        self.emit(Waiting(self.step.name, self.resource.name, why, waited))
        if waited >= _OVERTAKEN_EVERY_S:
            self._look_out(now=False)
        if self.stop.is_set():
            raise _Stopped
        self.aws.sleep(self._pause_s)
        if self.stop.is_set():
            raise _Stopped
        self._pause_s = min(self._pause_s * 1.5, _LONGEST_PAUSE_S)

    def _look_out(self, *, now: bool = True) -> None:
        """Raises Overtaken where what this run counts on is another by now."""
        if self.watch is not None:
            self.watch.look(now=now)

    def _not_ours(self) -> Problem:
        return Problem(
            "not_ours",
            f"{self.resource.name} exists and imgpipe did not make it; it was not touched.",
            hint=_not_ours_hint(self.pipeline.names),
        )

    def _does_not_settle(self, todo: Sequence[Change]) -> Problem:
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
