"""A settings parameter that somebody removed: the functions still have what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imgpipe_cli.deploy import deployed, observe, plan
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, RecordingAws, finished, fresh_account, nothing, pipeline


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


@pytest.mark.parametrize("store", ["table", "s3"])
def test_removed_settings_are_taken_from_the_functions(store: str) -> None:
    settings = replace(OURS, results=store)
    snapshot = without_settings(settings)
    assert deployed.settings(snapshot, NAMES) == settings
    states = plan.states(pipeline(RecordingAws()), snapshot, settings)
    assert [state.resource for state in states if state.state != "ready"] == ["settings"]


@pytest.mark.parametrize("variable", ["FEATURES", "TABLE_NAME"])
def test_settings_that_the_functions_do_not_tell_are_lost_and_no_defaults(variable: str) -> None:
    snapshot = without_settings(OURS)
    assert not deployed.is_lost(snapshot)
    function = snapshot["function.ingest"]
    variables = dict(function.facts["configuration"]["Environment"]["Variables"])
    del variables[variable]
    facts = {"configuration": {"Environment": {"Variables": variables}}}
    snapshot["function.ingest"] = replace(function, facts=facts)
    assert (deployed.settings(snapshot, NAMES), deployed.is_lost(snapshot)) == (None, True)
    told = deployed.lost(NAMES)
    assert NAMES.settings_parameter in told.message
    for flag in ("--features", "--min-confidence", "--private", "--results"):
        assert flag in told.hint


@pytest.mark.parametrize("value", ["nan", "inf", "1e9", "-1"])
def test_what_no_flag_would_take_is_not_taken_from_the_functions_either(value: str) -> None:
    snapshot = without_settings(OURS)
    function = snapshot["function.web"]
    variables = dict(function.facts["configuration"]["Environment"]["Variables"], MIN_CONFIDENCE=value)
    facts = {"configuration": {"Environment": {"Variables": variables}}}
    snapshot["function.web"] = replace(function, facts=facts)
    assert (deployed.settings(snapshot, NAMES), deployed.is_lost(snapshot)) == (None, True)


def test_without_functions_there_is_nothing_to_lose() -> None:
    snapshot = observe.snapshot(pipeline(RecordingAws()), nothing)
    assert (deployed.settings(snapshot, NAMES), deployed.is_lost(snapshot)) == (None, False)
