"""A home in which nothing can be written, as in many containers: what only reads goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from imgpipe_cli import state_dir
from imgpipe_cli.doctor import machine
from imgpipe_cli.problems import Problem
from imgpipe_cli.target import Remembered, Target, Targets
from tests.api_server import TOKEN, PlayedApi, item, serving
from tests.functional.cli import ACCOUNT, NAMES, REGION, Cli

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="folders have no such rights there")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Linux lets not even root make a folder below /proc; elsewhere nobody tests as root."""
    folder = Path("/proc") if sys.platform == "linux" else tmp_path / "home"
    if sys.platform != "linux":
        folder.mkdir(mode=0o500)
    monkeypatch.delenv("IMGPIPE_STATE_DIR")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(folder))
    yield folder
    if sys.platform != "linux":
        folder.chmod(0o700)


@pytest.fixture
def played() -> Iterator[PlayedApi]:
    with serving() as api:
        yield api


@POSIX
def test_nothing_is_remembered_there_and_nothing_is_made(home: Path) -> None:
    assert Targets().read() == (Target(), [])
    assert not state_dir.location().exists()
    with pytest.raises(Problem) as caught:
        state_dir.state_dir()
    assert caught.value.code == "state_dir_unusable"


@POSIX
@pytest.mark.parametrize("command", [("result", "a"), ("list",)], ids=" ".join)
def test_results_are_shown_and_it_is_said_that_the_pipeline_is_looked_up(
    cli: Cli, home: Path, played: PlayedApi, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    played.store(item("a"))
    target, bucket = Target("demo", region=REGION), NAMES.bucket
    there = Remembered(target, ACCOUNT, REGION, None, bucket, played.url, TOKEN, False, 70.0)
    # No API of moto's answers calls.
    monkeypatch.setattr("imgpipe_cli.outputs.discover", lambda _connection, **_needed: there)
    with mock_aws():
        printed = cli(*command, "--project", "demo", "--region", REGION)
    assert printed.code == 0, printed.err
    assert "a" in printed.out
    assert f"The pipeline is looked up each time: Cannot write imgpipe's files in {home}" in printed.err


@POSIX
def test_the_token_is_printed(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Remembered(Target("demo", region=REGION), ACCOUNT, REGION, None, "b", "u", TOKEN, False, 70.0)
    monkeypatch.setattr("imgpipe_cli.outputs.discover", lambda _connection, **_needed: there)
    with mock_aws():
        printed = cli("token", "--project", "demo", "--region", REGION)
    assert (printed.code, printed.out) == (0, f"{TOKEN}\n"), printed.err
    assert f"Cannot write imgpipe's files in {home}" in printed.err


@POSIX
def test_doctor_goes_on(cli: Cli, home: Path) -> None:
    checks = {one["id"]: one for one in cli("doctor", "--json").document["data"]["checks"]}
    assert str(home) in checks["state_dir"]["seen"]
    assert checks["python"]["verdict"] == "ok"


def test_a_folder_that_cannot_be_written_fails_only_what_needs_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "state"
    assert machine.state_dir(folder, asked=True).verdict == "failed"
    assert machine.state_dir(folder, asked=False).verdict == "warning"


@POSIX
def test_a_folder_that_others_may_change_is_still_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path / "shared"))
    with pytest.raises(Problem, match="Other users"):
        Targets()
