"""The stage's limits hold for each of its routes, whatever a single route was given by hand."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Call, Context, Observed
from imgpipe_cli.deploy.resources.api_stage import Stage

NAMES = Names("imgpipe", "123456789012", "eu-west-1", "aws")
OURS = {"ThrottlingRateLimit": 50.0, "ThrottlingBurstLimit": 100}


def updates(routes: dict[str, Any]) -> list[Any]:
    """What is set on a stage that is as it was made, but for the settings of its routes."""
    made = next(Stage().diff(Context(Observed(exists=False, facts={"id": "a"}), NAMES)))
    assert isinstance(made.call, Call)
    stage = {**made.call.params, "RouteSettings": routes}
    changes = list(Stage().diff(Context(Observed(exists=True, facts={"id": "a", "stage": stage}), NAMES)))
    return [change.call.params["RouteSettings"] for change in changes if isinstance(change.call, Call)]


@pytest.mark.parametrize(
    "routes",
    [
        {},
        {"GET /result": OURS},
        {"GET /result": {**OURS, "DetailedMetricsEnabled": True}},
        {"GET /theirs": {"ThrottlingRateLimit": 9_999.0}},
    ],
)
def test_what_does_not_lift_our_limits_stays(routes: dict[str, Any]) -> None:
    assert updates(routes) == []


@pytest.mark.parametrize(
    "lifted",
    [{"ThrottlingRateLimit": 9_999.0, "ThrottlingBurstLimit": 9_999}, {"ThrottlingRateLimit": 50.0}, {}],
)
def test_a_route_with_other_limits_gets_the_stages_again(lifted: dict[str, Any]) -> None:
    theirs = {"GET /theirs": {"ThrottlingRateLimit": 9_999.0}}
    (set_again,) = updates({**theirs, "GET /result": {**lifted, "DetailedMetricsEnabled": True}})
    assert set_again == {**theirs, "GET /result": {**OURS, "DetailedMetricsEnabled": True}}
