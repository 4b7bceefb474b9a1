"""A first `up --local` that is ended half-way: all that follows, without any flag, looks at this machine."""

from __future__ import annotations

import pytest

from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Target
from tests.local.cli.conftest import Pipeline
from tests.support.inventory import inventory
from tests.support.machine import Machine


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_up_that_was_ended_is_known_to_what_follows(
    machine: Machine, pipeline: Pipeline, name: str, code: int
) -> None:
    Targets(machine.state).drop(Target("elsewhere", region="eu-west-1"))  # the last command was about AWS
    up = ("up", "--local", "--project", "begun")
    ended, _, told = machine.signalled_at("Settings and checks", name, *up)
    assert ended == code, told
    assert "imgpipe up --local --project begun continues from there" in told

    for command in (("status",), ("status", "--project", "begun")):
        looked = machine.imgpipe(*command, code=None)
        assert looked.err.startswith("project begun · local cloud"), looked
    machine.imgpipe("up")
    machine.imgpipe("down", "--yes", "--project", "begun")
    assert inventory(machine.client, "begun") == {}


def test_a_status_of_nothing_names_the_whole_command(machine: Machine, pipeline: Pipeline) -> None:
    told = machine.imgpipe("status", "--local", "--project", "never", code=3)
    assert "never is not set up here. Run imgpipe up --local." in told.out
