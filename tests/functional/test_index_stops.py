"""`up` and `down` that are killed while the index is filled: the next `up` leaves a whole one."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from imgpipe_cli.deploy import deployed, observe
from imgpipe_cli.session.settings import Settings, moved_to
from tests.support import exhaustive, kept_account
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    Killed,
    PlainHttpAws,
    down,
    fresh_account,
    nothing,
    pipeline,
    up,
)
from tests.support.index_state import GONE, ITEMS, assert_whole, lacking, rows_of, stored, wanted

BOTH = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is written beside the call after which a run is killed depends on threads."""
    monkeypatch.setattr("imgpipe_cli.deploy.results.row_index.PARALLEL", 1)


@BOTH
@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "by down"])
def test_an_index_that_is_filled_in_part_is_filled_also_where_the_function_that_tells_is_gone(
    settings: Settings, by_hand: bool
) -> None:
    with fresh_account():
        aws = lacking(settings)
        with pytest.raises(Killed):
            up(PlainHttpAws(die_after=4), settings, workers=1)
        assert rows_of(aws) < wanted(ITEMS)
        if by_hand:
            aws.call("lambda", "delete_function", FunctionName=NAMES.function("web"))
        else:
            with pytest.raises(Killed):
                down(PlainHttpAws(die_after=2), workers=1)
        assert not observe.snapshot(pipeline(aws), nothing)["function.web"].exists
        up(PlainHttpAws(), settings)
        assert rows_of(aws) == wanted(ITEMS)
        assert_whole(settings)


@BOTH
@pytest.mark.loops
@pytest.mark.timeout(3_600)
def test_the_index_is_whole_after_an_up_and_a_down_that_were_killed_anywhere(settings: Settings) -> None:
    filling, removing = PlainHttpAws(), PlainHttpAws()
    with fresh_account():
        lacking(settings)
        begun = kept_account.keep()
        up(filling, settings, workers=1)
        down(removing, workers=1)
    orders = list(itertools.product(range(len(filling.writes)), range(len(removing.writes))))
    for number in exhaustive.points(len(orders), keep=4):
        filled, removed = orders[number]
        with fresh_account():
            kept_account.bring_back(begun)
            with pytest.raises(Killed):
                up(PlainHttpAws(die_after=filled), settings, workers=1)
            with suppress(Killed):  # there may be less to remove
                down(PlainHttpAws(die_after=removed), workers=1)
            up(PlainHttpAws(), settings)
            assert_whole(settings, f"up killed after call {filled}, down after call {removed}")


@pytest.mark.parametrize(("start", "end"), [(SETTINGS, IN_S3), (IN_S3, SETTINGS)], ids=["to s3", "back"])
@pytest.mark.loops
@pytest.mark.timeout(3_600)
def test_the_index_is_whole_after_results_moved_while_it_was_filled(start: Settings, end: Settings) -> None:
    """The filling is killed, then the move, and `up` goes on with both."""
    moving, whole = moved_to(end.results, start), PlainHttpAws()
    with fresh_account():
        lacking(start)
        with pytest.raises(Killed):
            up(PlainHttpAws(die_after=4), start, workers=1)
        begun = kept_account.keep()
        up(whole, moving, workers=1)
        assert_whole(end)
    for die_after in exhaustive.points(len(whole.writes), keep=4):
        with fresh_account():
            kept_account.bring_back(begun)
            killed = PlainHttpAws(die_after=die_after)
            with pytest.raises(Killed):
                up(killed, moving, workers=1)
            seen = observe.snapshot(pipeline(PlainHttpAws()), nothing)
            settings = deployed.settings(seen, NAMES)
            assert settings is not None
            up(PlainHttpAws(), moved_to(end.results, settings))
            assert set(stored(end)) == {one["objectKey"] for one in (*ITEMS, GONE)}
            assert_whole(end, f"killed after call {die_after}: {killed.writes[-1]}")
