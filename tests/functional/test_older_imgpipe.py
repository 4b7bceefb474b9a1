"""An older imgpipe at a pipeline of a newer one: it says so, and asks before it takes newer code back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

import imgpipe_cli
from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.lambdas import package
from tests.support.account import fresh_account
from tests.support.cli import NAMES, REGION, Cli, runner

HERE = ("--project", "demo", "--region", REGION)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("imgpipe_cli.deploy.readiness.wait_until_answering", lambda *_args, **_more: None)
    with fresh_account():
        yield runner(capsys)


def ssm() -> Any:
    return boto3.client("ssm", region_name=REGION)


def stored() -> dict[str, Any]:
    text = ssm().get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"]
    found: dict[str, Any] = json.loads(text)
    return found


def code() -> dict[str, str]:
    functions = boto3.client("lambda", region_name=REGION)
    return {
        name: functions.get_function(FunctionName=NAMES.function(name))["Configuration"]["CodeSha256"]
        for name in FUNCTIONS
    }


def newer(**unknown: object) -> dict[str, str]:
    """Another machine has a newer imgpipe, with code and settings that this one does not know."""
    document = stored() | {"imgpipe": "9.0.0"} | unknown
    ssm().put_parameter(
        Name=NAMES.settings_parameter, Value=json.dumps(document, sort_keys=True), Overwrite=True
    )
    functions = boto3.client("lambda", region_name=REGION)
    for name in FUNCTIONS:
        functions.update_function_code(
            FunctionName=NAMES.function(name), ZipFile=package.build(name) + b"new"
        )
    return code()


def test_up_keeps_which_version_it_was_and_writes_it_once(cli: Cli) -> None:
    assert cli("up", *HERE, "--json").code == 0
    assert stored()["imgpipe"] == imgpipe_cli.__version__
    assert cli("up", *HERE, "--json").document["data"]["changed"] == []


def test_newer_code_is_replaced_only_after_a_yes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("up", *HERE, "--json")
    theirs = newer(queue="fifo")
    before = stored()
    printed = cli("up", *HERE, "--features", "faces", "--json")
    assert (printed.code, printed.error) == (2, "not_confirmed")
    assert "This imgpipe is older" in printed.err
    assert "9.0.0" in printed.err
    assert (code(), stored()) == (theirs, before)
    keyboard = io.StringIO("n\n")
    keyboard.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", keyboard)
    printed = cli("up", *HERE)
    assert printed.code == 1
    assert "Nothing was changed." in printed.err
    assert "Upgrade imgpipe" in printed.err
    assert (code(), stored()) == (theirs, before)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert cli("up", *HERE, "--yes", "--json").code == 0
    assert code() == {name: package.code_sha256(name) for name in FUNCTIONS}
    # What it does not know stays, and from now on the code is this version's.
    assert stored() == before | {"imgpipe": imgpipe_cli.__version__}
    assert cli("up", *HERE, "--json").document["data"]["changed"] == []


def test_a_dry_run_says_it_and_asks_nothing(cli: Cli) -> None:
    cli("up", *HERE, "--json")
    newer()
    printed = cli("up", *HERE, "--dry-run")
    assert printed.code == 0
    assert "This imgpipe is older" in printed.err


def test_where_the_code_is_the_same_nobody_is_asked_and_the_newer_version_stays(cli: Cli) -> None:
    cli("up", *HERE, "--json")
    ssm().put_parameter(
        Name=NAMES.settings_parameter,
        Value=json.dumps(stored() | {"imgpipe": "9.0.0"}, sort_keys=True),
        Overwrite=True,
    )
    printed = cli("up", *HERE, "--json")
    assert (printed.code, printed.document["data"]["changed"]) == (0, [])
    assert stored()["imgpipe"] == "9.0.0"


def test_an_older_pipeline_is_updated_without_a_question(cli: Cli) -> None:
    cli("up", *HERE, "--json")
    newer()
    for version in ("0.0.9", ""):
        ssm().put_parameter(
            Name=NAMES.settings_parameter,
            Value=json.dumps(stored() | {"imgpipe": version}, sort_keys=True),
            Overwrite=True,
        )
        assert cli("up", *HERE, "--json").code == 0
        assert stored()["imgpipe"] == imgpipe_cli.__version__


def test_rotating_the_token_takes_no_newer_code_back(cli: Cli) -> None:
    cli("up", *HERE, "--json")
    theirs = newer()
    token = ssm().get_parameter(Name=NAMES.token_parameter, WithDecryption=True)["Parameter"]["Value"]
    printed = cli("token", *HERE, "--rotate", "--json")
    assert (printed.code, printed.error) == (1, "newer_pipeline")
    assert "imgpipe up --yes" in printed.document["errors"][0]["hint"]
    again = ssm().get_parameter(Name=NAMES.token_parameter, WithDecryption=True)["Parameter"]["Value"]
    assert (code(), again) == (theirs, token)


def test_settings_that_no_flag_would_take_reach_no_function(cli: Cli) -> None:
    cli("up", *HERE, "--json")
    good = stored()
    for field, value in (
        ("min_confidence", float("nan")),
        ("min_confidence", 1e9),
        ("private", "false"),
        ("first_day", "soon"),
    ):
        ssm().put_parameter(
            Name=NAMES.settings_parameter, Value=json.dumps(good | {field: value}), Overwrite=True
        )
        for command in ("up", "status"):
            printed = cli(command, *HERE, "--json")
            assert (printed.code, printed.error) == (1, "bad_settings")
            assert NAMES.settings_parameter in printed.document["errors"][0]["hint"]
