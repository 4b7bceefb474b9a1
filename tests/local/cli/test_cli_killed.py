"""`up` and `down` killed at random moments, as by a power cut, and then run again.

IMGPIPE_KILLS=100 tries more moments than the suite does.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support import exhaustive
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, Machine

KILLS = int(os.environ.get("IMGPIPE_KILLS", "5"))
# From before the first call until after the last one, on a quiet and on a busy machine.
EARLIEST_S, LATEST_S = 0.25, 1.6


@pytest.fixture(scope="module")
def undisturbed(machine: Machine, pipeline: Pipeline) -> Iterator[dict[str, object]]:
    machine.imgpipe("up", "--local", "--project", "calm")
    yield inventory(machine.client, "calm")
    machine.imgpipe("down", "--local", "--project", "calm", "--yes")


@pytest.mark.parametrize("number", exhaustive.cases(range(KILLS), keep=1))
def test_up_and_down_continue_after_a_kill(
    machine: Machine, undisturbed: dict[str, object], number: int
) -> None:
    project = f"killed{number}"
    up = ("up", "--local", "--project", project)
    down = ("down", "--local", "--project", project, "--yes")
    first, second = (random.uniform(EARLIEST_S, LATEST_S) for _ in range(2))
    print(f"up killed after {first:.3f} s, down after {second:.3f} s")

    machine.killed_after(first, *up)
    machine.imgpipe(*up)
    assert inventory(machine.client, project) == undisturbed

    machine.killed_after(second, *down)
    machine.imgpipe(*down)
    assert inventory(machine.client, project) == {}


def test_a_pipeline_that_was_killed_over_and_over_works(machine: Machine, pipeline: Pipeline) -> None:
    up = ("up", "--local", "--project", "stubborn")
    for number in range(3):
        machine.killed_after(0.5 + 0.15 * number, *up)
    machine.imgpipe(*up)
    assert machine.imgpipe("status", "--local", "--project", "stubborn", "--json").json()["status"] == "done"
    sent = machine.imgpipe("upload", EXAMPLES / "astronaut.jpg", "--wait", "--json", "--project", "stubborn")
    assert sent.lines()[0]["labels"][0]["Name"] == "Face"
    machine.imgpipe("down", "--local", "--project", "stubborn", "--yes")
    assert inventory(machine.client, "stubborn") == {}


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(machine: Machine, pipeline: Pipeline) -> None:
    here = ("--local", "--project", "stopped")
    for command, more, words in (
        ("up", (), "imgpipe up --local --project stopped continues from there"),
        ("down", ("--yes",), "imgpipe down --local --project stopped --yes continues from there"),
    ):
        code, _, told = machine.signalled_at("project stopped", "SIGINT", command, *here, *more)
        assert (code, words in told, "Traceback" in told) == (130, True, False), told
        machine.imgpipe(command, *here, *more)
    assert inventory(machine.client, "stopped") == {}
