"""What somebody else changed by hand: `status` names exactly that, and `up` mends exactly that."""

from __future__ import annotations

import pytest

from imgpipe_cli.deploy import observe, plan
from imgpipe_cli.session.settings import Settings
from tests.support.account import RecordingAws, finished, inventory, nothing, pipeline, up
from tests.support.drifts import DRIFTS, Drift

pytestmark = pytest.mark.usefixtures("account")


def shown(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The differences of everything that is not ready, by resource; none where it is missing."""
    line = pipeline(RecordingAws())
    found = [s for s in plan.states(line, observe.snapshot(line, nothing), settings) if s.state != "ready"]
    assert all(state.state == ("drifted" if state.differences else "missing") for state in found)
    return {state.resource: state.differences for state in found}


@pytest.mark.parametrize("drift", [pytest.param(one, id=one.what) for one in DRIFTS])
def test_status_names_exactly_what_differs_and_up_mends_exactly_that(drift: Drift) -> None:
    finished(drift.settings)
    clean = inventory()
    drift.do(RecordingAws())
    assert inventory() != clean
    assert shown(drift.settings) == drift.shown
    mending = RecordingAws()
    up(mending, drift.settings, workers=1)
    assert tuple(f"{service}.{operation}" for service, operation in mending.writes) == drift.calls
    assert inventory() == clean
    assert shown(drift.settings) == {}  # so one more `up` would send nothing
