"""`up` while another `up` or `down` may act on the same pipeline.

There is no lock: one that a killed process left behind would keep the next `up` from going on. Instead the
settings that were written last count; they are made over what is stored when they are written, so that flags
of two runs that do not contradict each other both count. A run that has changed something looks at its end
whether what it gave to several resources (the settings, the access token, the API's id) is still so; if not,
it goes round again with what is there now. So whoever writes last also looks last, and nothing is left half
of one run and half of another. A run that changes nothing leaves nothing behind and does not look again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from imgpipe_cli.deploy import runner
from imgpipe_cli.deploy.pipeline import Pipeline, Snapshot
from imgpipe_cli.deploy.reconcile import Outcome
from imgpipe_cli.deploy.resource import ConflictError, Outlasted
from imgpipe_cli.deploy.resources.settings_parameter import stored_settings
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Changing, Emit, Event, Settled
from imgpipe_cli.session.settings import Settings

_ROUNDS = 6
_PAUSE_S = 1.0


def up(
    pipeline: Pipeline,
    snapshot: Snapshot,
    settings: Settings,
    emit: Emit,
    asked: Callable[[Settings], Settings],
) -> dict[str, Outcome]:
    """Make everything as it should be; by resource name. Raises Problem.

    asked: what was asked for, over the settings of another run that wrote its own before this one did.
    The settings in the outcome are those of another run where that one wrote its own later.

    Round after round, until nobody else has changed anything meanwhile and AWS takes what the settings say.
    """
    changed: set[str] = set()
    settled: set[str] = set()
    excused = False

    def tell(event: Event) -> None:
        if isinstance(event, Changing):
            changed.add(event.resource)
        if isinstance(event, Settled):
            settled.add(event.resource)
        emit(event)

    for _ in range(_ROUNDS):
        theirs = ""
        fallback: Mapping[str, Any] = {}
        try:
            outcomes = migrate.up(pipeline, snapshot, settings, tell)
            if changed:
                runner.refuse_conflict(pipeline, {name: outcomes[name].seen for name in runner.SHARED})
            return {name: Outcome(name in changed, found.seen) for name, found in outcomes.items()}
        except ConflictError as overtaken:
            theirs = overtaken.stored
        except Problem as problem:
            fallback = _fallback(problem, settings, emit)
            # A run that has another token or API changes things back; a fresh look at everything tells.
            if not fallback and (problem.code != "does_not_settle" or excused):
                raise
            excused = excused or not fallback
        snapshot = observe_again(pipeline, emit)
        settings = replace(stored_settings(snapshot["settings"], pipeline.names), **fallback)
        if theirs:
            settings = Settings.from_json(theirs, parameter=pipeline.names.settings_parameter)
            # Once this run's settings were in force, the later ones count.
            settings = settings if "settings" in settled else asked(settings)
        settings = migrate.begin(settings, snapshot)
    raise Problem(
        "overtaken",
        "Other runs of imgpipe keep changing this pipeline.",
        hint="Let them end, then run imgpipe up again.",
    )


def _fallback(problem: Problem, settings: Settings, emit: Emit) -> Mapping[str, Any]:
    """The settings to go on with after this problem, by name; nothing where there are none, or they are in
    force already."""
    fallback = problem.passing.fallback if isinstance(problem, Outlasted) else None
    if fallback is None or replace(settings, **fallback.settings) == settings:
        return {}
    emit(fallback.note)
    return fallback.settings


def observe_again(pipeline: Pipeline, emit: Emit) -> Snapshot:
    """Look at everything again. Raises Problem if the pipeline was removed meanwhile."""
    for pause_s in (_PAUSE_S, _PAUSE_S, 0.0):
        snapshot = runner.observe_all(pipeline, emit)
        if snapshot["settings"].not_owned:
            runner.refuse_not_owned(pipeline, snapshot)
        if snapshot["settings"].exists:
            return snapshot
        pipeline.aws.sleep(pause_s)
    left = runner.ours(pipeline, snapshot)
    raise Problem(
        "removed_meanwhile",
        "The pipeline was removed by imgpipe down while this ran"
        + (f"; still there: {', '.join(left)}." if left else "; nothing of it is left."),
        hint="imgpipe down removes what is left; imgpipe up sets the pipeline up again.",
    )


def refuse_other_settings(asked: Settings, got: Settings) -> None:
    """Raise a Problem if what was asked for is not what the pipeline got, since another run came later."""
    pairs = {
        "features": (",".join(asked.features), ",".join(got.features)),
        "min-confidence": (f"{asked.min_confidence:g}", f"{got.min_confidence:g}"),
        "private": (_yes(asked.private), _yes(got.private)),
        "results": (asked.destination, got.destination),
        "rekognition-tps": (f"{asked.rekognition_tps:g}", f"{got.rekognition_tps:g}"),
    }
    others = [f"{name} is {theirs}, not {ours}" for name, (ours, theirs) in pairs.items() if ours != theirs]
    if others:
        raise Problem(
            "overtaken",
            f"Another imgpipe up changed the settings while this ran: {'; '.join(others)}. "
            "The pipeline is complete with those.",
            hint="Run imgpipe up again to have yours.",
        )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
