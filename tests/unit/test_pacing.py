"""Waiting for AWS while `up` or `down` changes a resource: the time of each reason, and the pauses."""

from __future__ import annotations

from imgpipe_cli.deploy.pacing import Pacing
from tests.support.api_server import Clock


def test_the_time_of_each_reason_counts_on_while_reasons_take_turns() -> None:
    clock = Clock()
    pacing = Pacing(clock)
    told = []
    for reason in ("busy", "busy", "no tags", "busy", "no tags"):
        told.append(pacing.wait_for(reason))
        clock.sleep(10)
    assert told == [0, 10, 0, 20, 10]
    assert (pacing.waited_s("busy"), pacing.waited_s("no tags"), pacing.waited_s("new")) == (30, 10, 0)


def test_pauses_grow_to_2_seconds_and_after_half_a_minute_to_5() -> None:
    pacing = Pacing(Clock())
    pauses = [pacing.next_pause_s(0) for _ in range(20)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.05, 2)
    late = [pacing.next_pause_s(45) for _ in range(10)]
    assert late[-1] == 3
    assert [pacing.next_pause_s(600) for _ in range(10)][-1] == 5


def test_after_a_change_that_aws_took_it_begins_anew() -> None:
    clock = Clock()
    pacing = Pacing(clock)
    pacing.wait_for("busy")
    clock.sleep(10)
    assert pacing.next_pause_s(pacing.wait_for("busy")) == 0.05
    pacing.begin_anew()
    clock.sleep(10)
    assert pacing.wait_for("busy") == 0
    assert pacing.next_pause_s(0) == 0.05
