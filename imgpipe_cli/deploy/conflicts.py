"""`up` while another `up` or `down` may act on the same pipeline.

There is no lock: one that a killed process left behind would keep the next `up` from going on. Instead the
settings that were written last count; they are made over what is stored when they are written, so that flags
of two runs that do not contradict each other both count. A run that has changed something looks at its end
whether what it gave to several resources (the settings, the access token, the API's id) is still so; if not,
it goes round again with what is there now. So whoever writes last also looks last, and nothing is left half
of one run and half of another. A run that changes nothing leaves nothing behind and does not look again.
"""

from __future__ import annotations

from imgpipe_cli.deploy import observe
from imgpipe_cli.deploy.destroy import left as left_of
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.plan import refuse_not_owned
from imgpipe_cli.deploy.resource import ConflictError
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Emit
from imgpipe_cli.session.settings import Settings

# Several resources hold a copy of these: with another value of one, all of them are wrong.
SHARED = ("settings", "token", "api")
_SECOND_LOOK_S = 1.0
_PAUSE_S = 1.0


def refuse_conflict(pipeline: Pipeline, settled: Snapshot) -> None:
    """Look whether these resources are as they were when this run left them. Raises ConflictError."""
    for pause_s in (_SECOND_LOOK_S, 0.0):  # one look may be late: the second counts
        if not settled or observe.snapshot(pipeline, lambda _event: None, only=settled.keys()) == settled:
            return
        pipeline.aws.sleep(pause_s)
    raise ConflictError


def observe_again(pipeline: Pipeline, emit: Emit) -> Snapshot:
    """Look at everything again. Raises Problem if the pipeline was removed meanwhile."""
    for pause_s in (_PAUSE_S, _PAUSE_S, 0.0):
        # Of another API, token or role since; what asks for them must not be faster than the look at them.
        pipeline.aws.known.forget_all()
        snapshot = observe.snapshot(pipeline, emit)
        if snapshot["settings"].not_owned:
            refuse_not_owned(pipeline, snapshot)
        if snapshot["settings"].exists:
            return snapshot
        pipeline.aws.sleep(pause_s)
    raise _removed(pipeline, snapshot)


def refuse_removal(pipeline: Pipeline, emit: Emit) -> None:
    """Look whether the pipeline is still there, with its API. Raises Problem if another run took it away.

    The settings alone do not tell: `down` removes them last."""
    snapshot = observe_again(pipeline, emit)
    if not snapshot["api"].exists:
        raise _removed(pipeline, snapshot)


def _removed(pipeline: Pipeline, snapshot: Snapshot) -> Problem:
    left = left_of(pipeline, snapshot)
    return Problem(
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
        "monthly-limit": (str(asked.monthly_limit), str(got.monthly_limit)),
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
