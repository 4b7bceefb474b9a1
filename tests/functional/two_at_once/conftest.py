"""Two runs at the same time: whatever one does between two calls of the other, the end is consistent.

One run is held before (or after) one of its changes while another runs whole: at some of its changes, or in
the exhaustive tests at each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter
from imgpipe_cli.session.settings import Settings
from tests.support import exhaustive
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    down,
    finished,
    fresh_account,
    inventory,
    up,
)
from tests.support.interleaving import MeetingAws, SharedAws

OTHER = Settings(features=("labels", "text"), private=True, min_confidence=55, first_day="2026-01-01")
KEEP = 2
EXAMPLES = Path(__file__).parents[3] / "examples"
WHEN = pytest.mark.parametrize("when", ["before", "after"])


@dataclass(frozen=True)
class Clean:
    """What is there after one undisturbed `up`, and how many changes that and an undisturbed `down` take."""

    there: dict[Settings, dict[str, Any]]
    changes: int
    removals: int


@pytest.fixture(scope="module")
def clean() -> Clean:
    there = {}
    for settings in (OTHER, IN_S3):
        with fresh_account():
            finished(settings)
            there[settings] = inventory()
    with fresh_account():
        first, last = SharedAws(), SharedAws()
        up(first, SETTINGS, workers=1)
        there[SETTINGS] = inventory()
        down(last, workers=1)
    return Clean(there, len(first.writes), len(last.writes))


@pytest.fixture
def empty() -> dict[str, Any]:
    with fresh_account():
        return inventory()


def stored() -> Settings:
    return Settings.from_json(SettingsParameter().observe(SharedAws(), NAMES).facts["value"])


def apis() -> list[str]:
    return [api["ApiId"] for api in SharedAws().call("apigatewayv2", "get_apis")["Items"]]


def points(count: int, when: str) -> Sequence[int]:
    """The changes to meet: before the first and the last, after one in the middle."""
    return exhaustive.points(count, keep=KEEP if when == "before" else 1)


def meeting(meanwhile: Callable[[], Any], when: str, number: int) -> MeetingAws:
    return MeetingAws(meanwhile, **{when: number})
