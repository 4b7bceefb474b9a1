"""The engine of `up`: rounds of stages of resources.

A round carries out the stages of the settings one after the other: a single one, or those of a move of the
results. A stage reconciles all its resources side by side. Where another run has changed something meanwhile,
or AWS refuses for good what the settings ask for, another round begins with a fresh snapshot.

There is no list of what was done: an interrupted run is continued by running again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from imgpipe_cli.deploy import conflicts, plan
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.reconcile import Reconciler
from imgpipe_cli.deploy.resource import ConflictError, Context, Observed, Outlasted
from imgpipe_cli.deploy.resources.settings_parameter import stored_settings
from imgpipe_cli.deploy.results import failed_index, migrate
from imgpipe_cli.deploy.schedule import Outcome, in_order
from imgpipe_cli.deploy.watch import Watch
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Changing, Emit, Event, Settled
from imgpipe_cli.session.settings import Settings

_ROUNDS = 6
_LAST_LOOK = "last look"

Shown = Callable[[str, Observed], object]


class _Run:
    """What a run has sent and settled so far, and what it is to tell to whom.

    shown: takes each resource by its name, as the look found it that showed it to be right.
    unlooked: whether something was changed since the last look for other runs.
    """

    def __init__(self, emit: Emit, shown: Shown) -> None:
        self.changed: set[str] = set()
        self.settled: set[str] = set()
        self.unlooked = False
        self.shown = shown
        self._emit = emit

    def emit(self, event: Event) -> None:
        if isinstance(event, Changing):
            self.changed.add(event.resource)
            self.unlooked = True
        if isinstance(event, Settled):
            self.settled.add(event.resource)
        self._emit(event)


def _to_nobody(_name: str, _observed: Observed) -> None:
    """For those whom nobody waits for."""


def apply(
    pipeline: Pipeline,
    snapshot: Snapshot,
    settings: Settings,
    emit: Emit,
    asked: Callable[[Settings], Settings],
    shown: Shown = _to_nobody,
) -> dict[str, Outcome]:
    """Make everything as it should be; by resource name. Raises Problem.

    asked: what was asked for, over the settings of another run that wrote its own before this one did.
    The settings in the outcome are those of another run where that one wrote its own later.
    shown: takes each resource as soon as a look has shown it to be right, in any thread.

    Round after round, until nobody else has changed anything meanwhile and AWS takes what the settings say.
    """
    run = _Run(emit, shown)
    excused = False
    for _ in range(_ROUNDS):
        theirs = ""
        fallback: Mapping[str, Any] = {}
        try:
            outcomes = _round(pipeline, snapshot, settings, run)
            if run.unlooked:
                conflicts.refuse_conflict(
                    pipeline, {name: outcomes[name].observed for name in conflicts.SHARED}
                )
            return {name: Outcome(name in run.changed, found.observed) for name, found in outcomes.items()}
        except ConflictError as overtaken:
            theirs = overtaken.stored
        except Problem as problem:
            fallback = _fallback(problem, settings, emit)
            # A run that has another token or API changes things back; a fresh look at everything tells.
            if not fallback and (problem.code != "does_not_settle" or excused):
                raise
            excused = excused or not fallback
        snapshot = conflicts.observe_again(pipeline, emit)
        settings = replace(stored_settings(snapshot["settings"], pipeline.names), **fallback)
        if theirs:
            settings = Settings.from_json(theirs, parameter=pipeline.names.settings_parameter)
            # Once this run's settings were in force, the later ones count.
            settings = settings if "settings" in run.settled else asked(settings)
        settings = migrate.begin(pipeline, settings, snapshot)
    raise Problem(
        "overtaken",
        "Other runs of imgpipe keep changing this pipeline.",
        hint="Let them end, then run imgpipe up again.",
    )


def _round(pipeline: Pipeline, snapshot: Snapshot, settings: Settings, run: _Run) -> dict[str, Outcome]:
    """One stage after the other; by resource name, as its last stage left it. Raises Problem, and
    ConflictError."""
    migrate.refuse_lasting(pipeline, snapshot, settings)
    snapshot = dict(snapshot)
    outcomes: dict[str, Outcome] = {}
    for stage in migrate.stages(settings):
        for name, outcome in _reconcile_all(pipeline, snapshot, stage, run).items():
            outcomes[name] = outcome
            snapshot[name] = outcome.observed
        if stage.move:
            try:
                migrate.carry_out(pipeline, snapshot, stage, run.emit)
            except Problem:
                with suppress(Problem):  # the first failure is the cause, not that this look fails too
                    migrate.refuse_conflict(pipeline, snapshot)  # another run may be the reason
                raise
        elif not stage.failed_index:
            failed_index.fill(pipeline, stage, run.emit)
    return {name: outcomes[name] for _, r in pipeline.resources(stage) if (name := r.name) in outcomes}


def reconcile_all(
    pipeline: Pipeline, snapshot: Snapshot, settings: Settings, emit: Emit
) -> dict[str, Outcome]:
    """Reconcile every resource that the settings ask for, side by side; by resource name. Raises Problem, and
    ConflictError."""
    return _reconcile_all(pipeline, snapshot, settings, _Run(emit, _to_nobody))


def _reconcile_all(
    pipeline: Pipeline, snapshot: Snapshot, settings: Settings, run: _Run
) -> dict[str, Outcome]:
    plan.refuse_not_owned(pipeline, snapshot, settings)
    # What cannot be repaired stops before anything is changed.
    for _, resource in pipeline.resources(settings):
        if snapshot[resource.name].ready:
            list(resource.diff(Context(snapshot[resource.name], pipeline.names, settings)))
    stop = threading.Event()
    watch = Watch(pipeline.aws.clock, lambda settled: conflicts.refuse_conflict(pipeline, settled))

    outcomes: dict[str, Outcome] = {}

    def reconcile(reconciler: Reconciler, name: str) -> None:
        outcomes[name] = reconciler.reconcile(snapshot[name], settings)

    def confirm(reconciler: Reconciler, name: str) -> None:
        outcomes[name] = reconciler.confirm(outcomes[name])
        if name in conflicts.SHARED:
            watch.settled[name] = outcomes[name].observed
        run.shown(name, outcomes[name].observed)

    def look_last() -> None:
        if run.unlooked:
            run.unlooked = False
            watch.look(now=True)

    names = [resource.name for _, resource in pipeline.resources(settings)]
    cleared, first = failed_index.CLEARED, failed_index.needs(snapshot)
    works: dict[str, Callable[[], None]] = {
        cleared: partial(failed_index.clear, pipeline, snapshot, settings, run.emit)
    }
    needs: dict[str, Collection[str]] = {cleared: first.get(cleared, ())}
    for step, resource in pipeline.resources(settings):
        name = resource.name
        reconciler = Reconciler(pipeline, step, resource, run.emit, stop, watch)
        works[name] = partial(reconcile, reconciler, name)
        works[_shown(name)] = partial(confirm, reconciler, name)
        needs[name] = {*resource.needs, *map(_shown, resource.needs_shown), *first.get(name, ())}
        needs[_shown(name)] = {name}
    works[_LAST_LOOK] = look_last
    needs[_LAST_LOOK] = {*names, *map(_shown, conflicts.SHARED)}
    try:
        in_order(works, needs, pipeline.workers, stop)
        return {name: outcomes[name] for name in names}
    except Problem:
        with suppress(Problem):  # the first failure is the cause, not that this look fails too
            watch.look(now=True)  # what failed may be the doing of another run
        raise


def _shown(name: str) -> str:
    """The work that looks at the resource of this name after it was changed."""
    return f"{name}, shown"


def _fallback(problem: Problem, settings: Settings, emit: Emit) -> Mapping[str, Any]:
    """The settings to go on with after this problem, by name; nothing where there are none, or they are in
    force already."""
    fallback = problem.transient.fallback if isinstance(problem, Outlasted) else None
    if fallback is None or replace(settings, **fallback.settings) == settings:
        return {}
    emit(fallback.note)
    return fallback.settings
