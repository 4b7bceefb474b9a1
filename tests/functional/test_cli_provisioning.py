"""`up`, `status` and `down` as commands, on an account that moto serves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core.config import default_user_config
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

from imgpipe_cli.names import Names
from tests.functional.cli import NAMES, REGION, Cli, Printed, remember, runner
from tests.local.cli import machine

HERE = ("--project", "demo", "--region", REGION)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    before = default_user_config["lambda"]["use_docker"]
    default_user_config["lambda"]["use_docker"] = False  # nothing is invoked here
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    default_user_config["lambda"]["use_docker"] = before


@pytest.fixture
def cli(
    endpoint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cli]:
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(name, value)
    yield runner(capsys)
    moto_api_backend.reset()


def client(service: str, endpoint: str) -> Any:
    return machine.client(service, endpoint, "AKIATEST", "secret", region=REGION)


def done(printed: Printed) -> Any:
    assert printed.code == 0, printed.err
    return printed.document["data"]


def test_down_unasked_does_not_follow_another_terminals_project(
    cli: Cli, endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for project in ("alpha", "beta"):
        remember(f"{endpoint}/prod", project=project, endpoint=endpoint)
    _queue_of_ours(endpoint, "beta")
    refused = cli("down", "--yes", "--json")
    assert (refused.code, refused.error) == (2, "several_pipelines")
    assert "alpha" in refused.document["errors"][0]["message"]
    assert done(cli("down", "--yes", "--project", "alpha", "--json"))["removed"] == []
    for project in ("alpha", "beta"):
        remember(f"{endpoint}/prod", project=project, endpoint=endpoint)
    (tmp_path / "imgpipe.toml").write_text('project = "alpha"\n')
    assert done(cli("down", "--yes", "--json"))["removed"] == []
    remember(f"{endpoint}/prod", project="alpha", endpoint=endpoint)
    monkeypatch.setenv("IMGPIPE_PROJECT", "beta")
    assert done(cli("down", "--yes", "--json"))["removed"] == ["queue"]


def _queue_of_ours(endpoint: str, project: str) -> None:
    names = Names(project, NAMES.account, REGION)
    client("sqs", endpoint).create_queue(QueueName=names.queue, tags=names.tags)


def test_removed_settings_come_back_from_the_functions(cli: Cli, endpoint: str) -> None:
    asked = ("--private", "--features", "labels,moderation", "--min-confidence", "85")
    first = done(cli("up", *HERE, *asked, "--json"))["settings"]
    ssm = client("ssm", endpoint)
    value = ssm.get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"]
    ssm.delete_parameter(Name=NAMES.settings_parameter)
    states = [
        (resource["name"], resource["state"])
        for step in cli("status", *HERE, "--json").document["data"]["steps"]
        for resource in step["resources"]
        if resource["state"] != "ready"
    ]
    assert states == [("settings", "missing")]
    again = cli("up", *HERE, "--json")
    assert (done(again)["settings"], done(again)["changed"]) == (first, ["settings"])
    assert ssm.get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"] == value


def test_lost_settings_are_asked_for_before_anything_is_changed(cli: Cli, endpoint: str) -> None:
    done(cli("up", *HERE, "--private", "--json"))
    ssm, functions = client("ssm", endpoint), client("lambda", endpoint)
    ssm.delete_parameter(Name=NAMES.settings_parameter)
    functions.delete_function(FunctionName=NAMES.function("web"))
    refused = cli("up", *HERE, "--features", "labels", "--json")
    assert (refused.code, refused.error) == (1, "settings_lost")
    assert NAMES.function("web") not in [
        one["FunctionName"] for one in functions.list_functions()["Functions"]
    ]
    all_of_them = ("--features", "labels", "--min-confidence", "70", "--private", "--results", "table")
    assert done(cli("up", *HERE, *all_of_them, "--json"))["settings"]["private"] is True
