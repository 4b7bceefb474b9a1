"""A settings parameter that somebody removed: the functions still have what is in it.

And what a removal leaves behind that another run came in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imgpipe_cli.deploy import deployed, destroy, observe, plan
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.session.settings import Settings, resolve
from tests.support import exhaustive
from tests.support.account import NAMES, RecordingAws, finished, fresh_account, nothing, pipeline, up


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    with fresh_account():
        yield


OURS = Settings(
    features=("labels", "moderation"),
    min_confidence=85,
    private=True,
    first_day="2026-01-31",
)


def without_settings(settings: Settings) -> Snapshot:
    """What is seen of a pipeline whose settings parameter somebody removed."""
    finished(settings)
    RecordingAws().call("ssm", "delete_parameter", Name=NAMES.settings_parameter)
    return observe.snapshot(pipeline(RecordingAws()), nothing)


def put_result() -> None:
    item = {"objectKey": {"S": "a.jpg"}, "day": {"S": "2026-02-01"}, "analyzedAt": {"S": "2026-02-01T10:00"}}
    RecordingAws().call("dynamodb", "put_item", TableName=NAMES.table, Item=item)


@pytest.mark.parametrize("store", ["table", "s3"])
def test_removed_settings_are_taken_from_the_functions(store: str) -> None:
    settings = replace(OURS, results=store)
    snapshot = without_settings(settings)
    assert deployed.settings(snapshot, NAMES) == settings
    states = plan.states(pipeline(RecordingAws()), snapshot, settings)
    assert [state.resource for state in states if state.state != "ready"] == ["settings"]


@pytest.mark.parametrize("variable", ["FEATURES", "TABLE_NAME"])
def test_settings_that_the_functions_do_not_tell_are_lost_and_no_defaults(variable: str) -> None:
    snapshot, line = without_settings(OURS), pipeline(RecordingAws())
    put_result()
    assert not deployed.is_lost(line, snapshot)
    function = snapshot["function.ingest"]
    variables = dict(function.facts["configuration"]["Environment"]["Variables"])
    del variables[variable]
    facts = {"configuration": {"Environment": {"Variables": variables}}}
    snapshot["function.ingest"] = replace(function, facts=facts)
    assert (deployed.settings(snapshot, NAMES), deployed.is_lost(line, snapshot)) == (None, True)
    told = deployed.lost(NAMES)
    assert NAMES.settings_parameter in told.message
    for flag in ("--features", "--min-confidence", "--private", "--results"):
        assert flag in told.hint


@pytest.mark.parametrize("value", ["nan", "inf", "1e9", "-1"])
def test_what_no_flag_would_take_is_not_taken_from_the_functions_either(value: str) -> None:
    snapshot, line = without_settings(OURS), pipeline(RecordingAws())
    put_result()
    function = snapshot["function.web"]
    variables = dict(function.facts["configuration"]["Environment"]["Variables"], MIN_CONFIDENCE=value)
    facts = {"configuration": {"Environment": {"Variables": variables}}}
    snapshot["function.web"] = replace(function, facts=facts)
    assert (deployed.settings(snapshot, NAMES), deployed.is_lost(line, snapshot)) == (None, True)


def test_without_functions_there_is_nothing_to_lose() -> None:
    line = pipeline(RecordingAws())
    snapshot = observe.snapshot(line, nothing)
    assert (deployed.settings(snapshot, NAMES), deployed.is_lost(line, snapshot)) == (None, False)


def leave_only(names: set[str]) -> None:
    """Remove all but these resources, and what they are in."""
    line = pipeline(RecordingAws())
    resources = observe.by_name(line)
    kept = frozenset(names | {parent for name in names if (parent := resources[name].parent)})
    removals = destroy.planned_removals(line, observe.snapshot(line, nothing), nothing, keep=kept)
    assert destroy.destroy(line, removals, nothing, keep=kept) == []


FUNCTIONS = ("function.ingest", "function.get_result", "function.web")
LEFT = [
    {"function.ingest"},
    {*FUNCTIONS},
    {"function.ingest", "table", "index_table"},
    *exhaustive.cases(
        ({resource.name} for step in STEPS for resource in step.resources if resource.name != FUNCTIONS[0]),
        keep=3,
    ),
]


@pytest.mark.parametrize("left", LEFT, ids=lambda left: " and ".join(sorted(left)))
def test_up_without_flags_goes_on_with_what_another_removal_left(left: set[str]) -> None:
    finished(replace(OURS, results="s3" if left == {"results_bucket"} else "table"))
    leave_only(left)
    line = pipeline(RecordingAws())
    snapshot = observe.snapshot(line, nothing)
    assert any(observed.exists for observed in snapshot.values())
    assert not deployed.is_lost(line, snapshot)
    known = deployed.settings(snapshot, NAMES)
    settings = resolve(features=None, min_confidence=None, private=None, deployed=known, today="2026-02-01")
    plan.refuse_not_owned(line, snapshot, settings)
    up(RecordingAws(), settings)
    snapshot = observe.snapshot(line, nothing)
    states = plan.states(line, snapshot, migrate.begin(line, settings, snapshot))
    assert {state.resource: state.drift for state in states if state.state != "ready"} == {}
