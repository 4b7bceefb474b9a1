"""What somebody else changed by hand: `status` names exactly that, and `up` repairs exactly that."""

from __future__ import annotations

import pytest

from tests.support.account import finished
from tests.support.drifts import DRIFTS, Drift
from tests.support.laws import World, drift_is_repaired

pytestmark = pytest.mark.usefixtures("account")


@pytest.mark.parametrize("drift", [pytest.param(one, id=one.what) for one in DRIFTS])
def test_status_names_exactly_what_differs_and_up_repairs_exactly_that(drift: Drift) -> None:
    finished(drift.settings)
    drift_is_repaired(World(settings=drift.settings), drift.do, drift.shown, drift.calls)
