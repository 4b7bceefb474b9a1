"""A process that dies after any one of its calls: the next run continues, and ends the same."""

from __future__ import annotations

from functools import partial

import pytest

from imgpipe_cli.events import Event, Skipped
from imgpipe_cli.session.settings import Settings
from tests.support import exhaustive, laws
from tests.support.account import (
    IN_S3,
    SETTINGS,
    Killed,
    RecordingAws,
    down,
    finished,
    fresh_account,
    inventory,
    up,
)
from tests.support.laws import Undisturbed, World

# What an interrupted run may send again: the same value once more, which changes nothing.
OTHER = Settings(features=("labels", "text"), private=True, min_confidence=55, first_day="2026-01-01")


@pytest.fixture(scope="module", params=[SETTINGS, IN_S3], ids=["table", "s3"])
def world(request: pytest.FixtureRequest) -> World:
    return World(settings=request.param)


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Undisturbed:
    return Undisturbed.of(world)


@pytest.mark.loops
def test_up_killed_after_any_call_is_finished_by_the_next_up(world: World, undisturbed: Undisturbed) -> None:
    assert len(undisturbed.up) > 30
    for die_after in exhaustive.points(len(undisturbed.up), keep=4):
        laws.a_killed_up_is_finished_by_the_next(world, undisturbed, die_after)


@pytest.mark.loops
def test_down_killed_after_any_call_is_finished_by_the_next_down(
    world: World, undisturbed: Undisturbed
) -> None:
    for die_after in exhaustive.points(len(undisturbed.down), keep=4):
        fill = partial(finished, world.settings)
        laws.a_killed_down_is_finished_by_the_next(world, die_after, fill)


@pytest.mark.loops
@pytest.mark.parametrize("workers", [1, 8])
def test_an_update_killed_after_any_call_is_finished_by_the_next_up(workers: int) -> None:
    with fresh_account():
        finished()
        aws = RecordingAws()
        up(aws, OTHER, workers=workers)
        calls, there = len(aws.writes), inventory()
    assert calls >= 4
    for die_after in exhaustive.points(calls, keep=3):
        with fresh_account():
            finished()
            with pytest.raises(Killed):
                up(RecordingAws(die_after=die_after), OTHER, workers=workers)
            up(RecordingAws(), OTHER, workers=workers)
            assert inventory() == there, f"killed after call {die_after}"


@pytest.mark.loops
def test_up_killed_half_way_with_many_workers_can_be_taken_away(
    world: World, undisturbed: Undisturbed
) -> None:
    with fresh_account():
        empty = inventory()
    for die_after in exhaustive.points(len(undisturbed.up), keep=2):
        with fresh_account():
            with pytest.raises(Killed):
                up(RecordingAws(die_after=die_after), world.settings)
            assert down(RecordingAws()) == []
            assert inventory() == empty, f"killed after call {die_after}"


@pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])
def test_where_tags_are_dropped_up_goes_on_and_down_says_which_bucket_it_leaves(settings: Settings) -> None:
    """Killed between the call that makes a bucket and the one that gives it its tags."""
    with fresh_account():
        whole = RecordingAws(keeps_tags=False)
        up(whole, settings, workers=1)
        there = inventory()
    made = [number for number, call in enumerate(whole.writes) if call == ("s3", "create_bucket")]
    assert len(made) == (1 if settings is SETTINGS else 2)
    for die_after in made:
        with fresh_account():
            with pytest.raises(Killed):
                up(RecordingAws(die_after=die_after, keeps_tags=False), settings, workers=1)
            up(RecordingAws(keeps_tags=False), settings)
            assert inventory() == there
        with fresh_account():
            killed = RecordingAws(die_after=die_after, keeps_tags=False)
            with pytest.raises(Killed):
                up(killed, settings, workers=1)
            events: list[Event] = []
            assert down(RecordingAws(), emit=events.append) == []
            left = [event.what for event in events if isinstance(event, Skipped)]
            assert left == [f"bucket {killed.params[die_after]['Bucket']}"]
            assert [name for name in inventory() if "demo" in name] == left
