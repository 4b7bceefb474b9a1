"""A settings parameter that somebody removed: the functions still have what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imgpipe_cli.deploy import deployed, runner
from imgpipe_cli.deploy.pipeline import Looks
from imgpipe_cli.session.settings import Settings
from tests.functional.account import NAMES, RecordingAws, finished, fresh_account, nothing, pipeline


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


def without_settings(settings: Settings) -> Looks:
    """What is seen of a pipeline whose settings parameter somebody removed."""
    finished(settings)
    RecordingAws().call("ssm", "delete_parameter", Name=NAMES.settings_parameter)
    return runner.look(pipeline(RecordingAws()), nothing)


@pytest.mark.parametrize("store", ["table", "s3"])
def test_removed_settings_are_taken_from_the_functions(store: str) -> None:
    settings = replace(OURS, results=store)
    looks = without_settings(settings)
    assert deployed.settings(looks, NAMES) == settings
    states = runner.states(pipeline(RecordingAws()), looks, settings)
    assert [state.resource for state in states if state.state != "ready"] == ["settings"]


@pytest.mark.parametrize("variable", ["FEATURES", "TABLE_NAME"])
def test_settings_that_the_functions_do_not_tell_are_lost_and_no_defaults(variable: str) -> None:
    looks = without_settings(OURS)
    assert not deployed.is_lost(looks)
    function = looks["function.ingest"]
    variables = dict(function.facts["configuration"]["Environment"]["Variables"])
    del variables[variable]
    facts = {"configuration": {"Environment": {"Variables": variables}}}
    looks["function.ingest"] = replace(function, facts=facts)
    assert (deployed.settings(looks, NAMES), deployed.is_lost(looks)) == (None, True)
    told = deployed.lost(NAMES)
    assert NAMES.settings_parameter in told.message
    for flag in ("--features", "--min-confidence", "--private", "--results"):
        assert flag in told.hint


@pytest.mark.parametrize("value", ["nan", "inf", "1e9", "-1"])
def test_what_no_flag_would_take_is_not_taken_from_the_functions_either(value: str) -> None:
    looks = without_settings(OURS)
    function = looks["function.web"]
    variables = dict(function.facts["configuration"]["Environment"]["Variables"], MIN_CONFIDENCE=value)
    facts = {"configuration": {"Environment": {"Variables": variables}}}
    looks["function.web"] = replace(function, facts=facts)
    assert (deployed.settings(looks, NAMES), deployed.is_lost(looks)) == (None, True)


def test_without_functions_there_is_nothing_to_lose() -> None:
    looks = runner.look(pipeline(RecordingAws()), nothing)
    assert (deployed.settings(looks, NAMES), deployed.is_lost(looks)) == (None, False)
