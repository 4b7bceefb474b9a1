"""`imgpipe token`: shown, replaced, and a replacement that was cut short."""

from __future__ import annotations

import pytest

from imgpipe_cli.pictures.api import Api, ApiUnavailable
from tests.local.cli.conftest import Pipeline
from tests.support.machine import Machine


@pytest.fixture
def own(machine: Machine) -> Pipeline:
    up = machine.imgpipe("up", "--local", "--project", "rotated", "--private", "--json")
    return Pipeline(machine, "rotated", up.json()["data"], up)


def accepted(pipeline: Pipeline, token: str) -> bool:
    status, _ = Api(pipeline.outputs["apiUrl"], token).get("/results", {})
    private, _ = Api(pipeline.outputs["apiUrl"], token).get("/result", {"key": "x"})
    assert (status, private) in ((200, 404), (401, 401))
    return status == 200


def test_the_token_is_the_only_thing_on_standard_output(own: Pipeline) -> None:
    done = own.imgpipe("token")
    assert accepted(own, done.out.removesuffix("\n"))
    assert done.out.strip() not in done.err
    assert own.imgpipe("token", "--json").json()["data"] == {"token": done.out.strip(), "rotated": False}


def test_a_replaced_token_is_refused_at_once(own: Pipeline) -> None:
    old = own.imgpipe("token").out.strip()
    done = own.imgpipe("token", "--rotate")
    new = done.out.strip()
    assert new != old
    assert "five minutes" in done.err
    assert not accepted(own, old)
    assert accepted(own, new)
    # The commands after it know the new one, and nothing is left to do.
    assert own.imgpipe("result", "none.jpg", code=1).err
    assert own.imgpipe("up", "--json").json()["data"]["changed"] == []


def test_a_replacement_cut_short_is_finished_by_up(own: Pipeline) -> None:
    own.machine.client("ssm").put_parameter(
        Name="/imgpipe/rotated/token", Type="SecureString", Value="new-" * 10, Overwrite=True
    )
    old = own.imgpipe("token").out.strip()
    assert old == "new-" * 10
    assert not accepted(own, old)
    changed = own.imgpipe("up", "--json").json()["data"]["changed"]
    assert sorted(changed) == ["function.get_result", "function.web"]
    assert accepted(own, old)


def test_there_is_no_token_before_there_is_a_pipeline(machine: Machine, own: Pipeline) -> None:
    done = machine.imgpipe("token", "--local", "--project", "nobody", code=3)
    assert done.out == ""
    assert "is not set up here" in done.err


def test_an_api_that_does_not_answer_is_no_refusal() -> None:
    with pytest.raises(ApiUnavailable):
        Api("http://127.0.0.1:1/prod", "t").get("/results", {})
