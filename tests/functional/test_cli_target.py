"""Where a command goes, as the target line tells it: flag, environment, imgpipe.toml, remembered, default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Target
from tests.support.cli import ACCOUNT, Cli, remember, runner


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    monkeypatch.chdir(tmp_path)
    with mock_aws():
        yield runner(capsys)


def _target(cli: Cli, *options: str) -> str:
    """The target line of a command that has to sign in."""
    printed = cli("result", "nothing.jpg", *options)
    assert printed.code == 3, printed.err
    return printed.err.splitlines()[0]


def _line(project: str, region: str) -> str:
    return f"project {project} · AWS {ACCOUNT} · {region}"


def _after_down(project: str, region: str) -> None:
    """The place of an earlier pipeline is remembered, the pipeline itself is not."""
    Targets().drop(Target(project, region=region))


def test_each_source_wins_over_those_after_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-south-1")
    assert _target(cli) == _line("imgpipe", "eu-south-1")
    _after_down("remembered", "eu-north-1")
    assert _target(cli) == _line("remembered", "eu-north-1")
    Path("imgpipe.toml").write_text('project = "from-file"\nregion = "eu-west-3"\n')
    assert _target(cli) == _line("from-file", "eu-west-3")
    monkeypatch.setenv("IMGPIPE_PROJECT", "from-environment")
    monkeypatch.setenv("IMGPIPE_REGION", "eu-west-2")
    assert _target(cli) == _line("from-environment", "eu-west-2")
    assert _target(cli, "--project", "from-flag", "--region", "eu-west-1") == _line("from-flag", "eu-west-1")


def test_each_option_is_resolved_by_itself(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _after_down("remembered", "eu-north-1")
    Path("imgpipe.toml").write_text('region = "eu-west-3"\n')
    assert _target(cli, "--project", "from-flag") == _line("from-flag", "eu-west-3")


def test_local_in_the_folders_file_means_this_machine(cli: Cli) -> None:
    Path("imgpipe.toml").write_text("local = true\n")
    assert cli("result", "a", "--json").error == "local_not_running"


def test_aws_asked_for_wins_over_a_local_file_variable_and_memory(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Targets().drop(Target("demo", local=True))
    assert cli("result", "a", "--json").error == "local_not_running"
    monkeypatch.setenv("IMGPIPE_LOCAL", "1")
    Path("imgpipe.toml").write_text("local = true\n")
    for arguments in (("--aws", "result", "a"), ("result", "a", "--aws")):
        printed = cli(*arguments, "--region", "eu-west-1")
        assert printed.code == 3
        assert printed.err.splitlines()[0] == _line("demo", "eu-west-1")


def test_who_names_a_profile_means_aws(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    keys = "aws_access_key_id = testing\naws_secret_access_key = testing\n"
    config.write_text(f"[profile work]\nregion = eu-central-1\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    Targets().drop(Target("demo", local=True))
    assert _target(cli, "--profile", "work") == f"{_line('demo', 'eu-central-1')} · profile work"


def test_a_profile_in_the_folders_file_leaves_the_local_cloud_alone(cli: Cli) -> None:
    Targets().drop(Target("demo", local=True))
    Path("imgpipe.toml").write_text('profile = "work"\n')
    assert cli("result", "a", "--json").error == "local_not_running"


@pytest.mark.parametrize("text", ['projekt = "a"', "project = 5", "project = "])
def test_a_wrong_file_is_a_usage_error_of_every_command(cli: Cli, text: str) -> None:
    Path("imgpipe.toml").write_text(text)
    for command in (("result", "a"), ("up",), ("status",), ("down",), ("watch",)):
        printed = cli(*command)
        assert printed.code == 2
        assert "imgpipe.toml" in printed.err


def test_a_long_name_is_refused_before_anything_is_asked(cli: Cli) -> None:
    printed = cli("up", "--project", "a" * 25, "--region", "eu-west-1", "--json")
    assert (printed.code, printed.error) == (2, "bad_project")


def test_an_endpoint_of_ones_own_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    printed = cli("result", "a", "--region", "eu-west-1")
    assert f"http://127.0.0.1:9 (account {ACCOUNT})" in printed.err.splitlines()[0]


def test_a_region_without_rekognition_is_refused_before_anything_is_made(cli: Cli) -> None:
    printed = cli("up", "--region", "ca-west-1", "--json")
    assert (printed.code, printed.error) == (2, "no_rekognition")
    assert "eu-west-1" in printed.document["errors"][0]["hint"]


def test_another_project_is_found_where_it_was_set_up(cli: Cli) -> None:
    remember("http://127.0.0.1:9/prod", project="other")
    _after_down("demo", "eu-north-1")
    printed = cli("result", "a", "--project", "other")
    assert printed.err.splitlines()[0] == _line("other", "eu-west-1")
