"""`up` meets `down`, and `down` another `down`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from imgpipe_cli.deploy import conflicts
from imgpipe_cli.deploy.resource import MISSING, Context
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter
from imgpipe_cli.errors import Problem
from imgpipe_cli.system.single_flight import SingleFlight
from tests.functional.two_at_once.conftest import (
    KEEP,
    OTHER,
    WHEN,
    Clean,
    apis,
    meeting,
    points,
)
from tests.support import exhaustive
from tests.support.account import (
    NAMES,
    SETTINGS,
    down,
    finished,
    fresh_account,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.interleaving import SharedAws


@pytest.mark.loops
@WHEN
def test_down_during_up_is_told_and_one_more_up_or_down_makes_it_right(
    clean: Clean, empty: dict[str, Any], when: str
) -> None:
    for place, number in enumerate(points(clean.changes, when)):
        then = (up, down)[place % 2]
        with fresh_account():
            first = meeting(lambda: down(SharedAws(), workers=1), when, number)
            try:
                up(first, workers=1)
            except Problem as told:
                assert told.code == "removed_meanwhile", told
                assert "imgpipe down" in told.message and "imgpipe up" in told.hint
            else:
                assert (when, number) == ("before", 0)  # nothing was there for `down` to remove
            then(SharedAws(), workers=1)
            right = clean.there[SETTINGS] if then is up else empty
            assert inventory() == right, f"met {when} change {number}: {first.met}"


@pytest.mark.loops
@WHEN
def test_down_during_an_update_is_told_too(clean: Clean, when: str) -> None:
    for number in points(5, when):
        with fresh_account():
            finished()
            first = meeting(lambda: down(SharedAws(), workers=1), when, number)
            try:
                up(first, OTHER, workers=1)
            except Problem as told:
                assert told.code == "removed_meanwhile", f"met {when} change {number}: {first.met}"
            else:  # the new settings came after the removal: everything is made again
                assert (when, number) == ("before", 0)
            up(SharedAws(), OTHER)
            assert inventory() == clean.there[OTHER]


class AskedFirst(SingleFlight[str | None]):
    """What lives inside the API has asked for its id before the look at the API begins. told: the answers."""

    def __init__(self, api: str) -> None:
        super().__init__()
        super().get("api", lambda: api)
        self.told: set[str | None] = set()
        self._asked = threading.Event()

    def get(self, key: Hashable, find: Callable[[], str | None]) -> str | None:
        found = super().get(key, find)
        if key == "api":
            self.told.add(found)
            self._asked.set()
        return found

    def learn(self, key: Hashable, find: Callable[[], str | None]) -> str | None:
        assert key != "api" or self._asked.wait(60)
        return super().learn(key, find)


def test_a_fresh_look_knows_nothing_of_an_api_that_was_removed() -> None:
    with fresh_account():
        finished()
        aws = SharedAws()
        aws.known = known = AskedFirst(*apis())
        down(SharedAws())
        for change in SettingsParameter().diff(Context(MISSING, NAMES, SETTINGS)):
            change.call.run(SharedAws(), nothing)
        conflicts.observe_again(pipeline(aws), nothing)
        assert known.told == {None}


@pytest.mark.loops
def test_up_during_down_is_left_over_or_gone_and_never_twice(clean: Clean, empty: dict[str, Any]) -> None:
    for place, number in enumerate(exhaustive.points(clean.removals, keep=KEEP)):
        then = (up, down)[place % 2]
        with fresh_account():
            finished()
            first = meeting(lambda: up(SharedAws(), workers=1), "after", number)
            left = down(first, workers=1)
            there = inventory()
            assert bool(left) == (there != empty), f"met after removal {number}: {first.met}"
            assert len(apis()) <= 1
            then(SharedAws(), workers=1)
            assert inventory() == (clean.there[SETTINGS] if then is up else empty)


def _down_into(lefts: list[list[str]]) -> None:
    lefts.append(down(SharedAws(), workers=1))


@pytest.mark.loops
def test_two_down_at_once_leave_nothing_and_both_end_well(clean: Clean, empty: dict[str, Any]) -> None:
    for number in exhaustive.points(clean.removals, keep=KEEP):
        with fresh_account():
            finished()
            seconds: list[list[str]] = []
            first = meeting(partial(_down_into, seconds), "before", number)
            assert (down(first, workers=1), seconds) == ([], [[]])
            assert inventory() == empty, f"met before removal {number}: {first.met}"


def test_up_and_down_side_by_side_leave_what_one_more_run_makes_right(
    clean: Clean, empty: dict[str, Any]
) -> None:
    for then in (up, down) * (2 if exhaustive.share.everything else 1):
        with fresh_account(), ThreadPoolExecutor(2) as pool:
            finished(OTHER)
            runs = [pool.submit(up, SharedAws(), SETTINGS), pool.submit(down, SharedAws())]
            for run in runs:
                error = run.exception()
                assert error is None or (isinstance(error, Problem) and error.code == "removed_meanwhile")
            assert len(apis()) <= 1
            then(SharedAws())
            assert inventory() == (clean.there[SETTINGS] if then is up else empty)


def test_a_removal_that_is_still_at_work_is_told_as_one() -> None:
    """`down` removes the settings last: with the API gone they do not mean that the pipeline is there."""
    with fresh_account():
        finished()
        conflicts.refuse_removal(pipeline(SharedAws()), nothing)
        for api in apis():
            SharedAws().call("apigatewayv2", "delete_api", ApiId=api)
        with pytest.raises(Problem) as told:
            conflicts.refuse_removal(pipeline(SharedAws()), nothing)
        assert told.value.code == "removed_meanwhile"
        assert "still there: " in told.value.message and "settings" in told.value.message
