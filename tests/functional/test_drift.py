"""What somebody else changed by hand: `status` names exactly that, and `up` repairs exactly that."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe_cli.session.settings import Settings
from tests.support.account import finished
from tests.support.drifts import DRIFTS, Drift
from tests.support.laws import World, drift_is_repaired

pytestmark = pytest.mark.usefixtures("account")
# What is there before the drift, which is the same each time.
_CLEAN: dict[Settings, dict[str, Any]] = {}


@pytest.mark.parametrize("drift", [pytest.param(one, id=one.what) for one in DRIFTS])
def test_status_names_exactly_what_differs_and_up_repairs_exactly_that(drift: Drift) -> None:
    finished(drift.settings)
    world = World(settings=drift.settings)
    if drift.settings not in _CLEAN:
        _CLEAN[drift.settings] = world.inventory()
    drift_is_repaired(world, drift.do, drift.shown, drift.calls, clean=_CLEAN[drift.settings])
