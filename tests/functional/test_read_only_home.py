"""A home in which nothing can be written, as in many containers: what only reads goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from imgpipe_cli.aws.client import Place
from imgpipe_cli.aws.names import Names
from imgpipe_cli.commands.chosen import Options
from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.diagnose.doctor import machine
from imgpipe_cli.errors import Problem
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered, Target
from imgpipe_cli.system import state_dir
from tests.support.api_server import TOKEN, FakeApi, item, serving
from tests.support.cli import ACCOUNT, NAMES, REGION, Cli

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
def played() -> Iterator[FakeApi]:
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
    cli: Cli, home: Path, played: FakeApi, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    played.store(item("a"))
    target, bucket = Target("demo", region=REGION), NAMES.bucket
    there = Remembered(target, ACCOUNT, REGION, None, bucket, played.url, TOKEN, False, 70.0)
    # No API of moto's answers calls.
    monkeypatch.setattr("imgpipe_cli.deploy.pipeline_info.discover", lambda _connection, **_needed: there)
    with mock_aws():
        printed = cli(*command, "--project", "demo", "--region", REGION)
    assert printed.code == 0, printed.err
    assert "a" in printed.out
    assert f"The pipeline is looked up each time: Cannot write imgpipe's files in {home}" in printed.err


@POSIX
def test_the_token_is_printed(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Remembered(Target("demo", region=REGION), ACCOUNT, REGION, None, "b", "u", TOKEN, False, 70.0)
    monkeypatch.setattr("imgpipe_cli.deploy.pipeline_info.discover", lambda _connection, **_needed: there)
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
    assert machine.state_dir(folder, asked=True).outcome == "failed"
    assert machine.state_dir(folder, asked=False).outcome == "warning"


@POSIX
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("local status", 3),
        ("local stop", 0),
        ("local models", 0),
        ("list --local", 3),
        ("result a --local", 3),
    ],
)
def test_there_is_no_local_cloud_there(cli: Cli, home: Path, command: str, code: int) -> None:
    printed = cli(*command.split())
    assert printed.code == code, printed.err
    assert "Cannot write" not in printed.err


@POSIX
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs another user")
def test_a_home_that_is_closed_holds_nothing(tmp_path: Path) -> None:
    """Not even whether something is there can be asked."""
    closed = tmp_path / "home"
    (closed / "state").mkdir(parents=True)
    closed.chmod(0o700)
    script = (
        "import os\n"
        "from pathlib import Path\n"
        "from imgpipe_cli.cli import main\n"
        "from imgpipe_cli.commands.program import whole_program\n"
        "from imgpipe_cli.diagnose.doctor import local_cloud, machine\n"
        "from imgpipe_cli.render import faults, screen\n"
        "whole_program()\n"  # the code itself may lie where the other user cannot read it
        "os.seteuid(65534)\n"
        "codes = [main(['local', word]) for word in ('status', 'logs', 'stop', 'models')]\n"
        "state = Path(os.environ['IMGPIPE_STATE_DIR'])\n"
        "codes.append(machine.state_dir(state).id)\n"
        "codes += [one.id for one in local_cloud.disk_of(state, asked=True)]\n"
        "print(codes)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "IMGPIPE_STATE_DIR": str(closed / "state")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[3, 1, 0, 0, 'state_dir', 'disk']"
    assert "unexpected" not in ended.stderr


@POSIX
def test_a_pipeline_is_removed_all_the_same(cli: Cli, home: Path) -> None:
    with mock_aws():
        boto3.client("ssm", region_name=REGION).put_parameter(
            Name=NAMES.settings_parameter,
            Value="{}",
            Type="String",
            Tags=NAMES.tag_list,  # type: ignore[arg-type]
        )
        printed = cli("down", "--yes", "--project", "demo", "--region", REGION)
    assert printed.code == 0, printed.err
    assert "Everything is gone" in printed.out


@POSIX
def test_what_is_begun_or_known_on_aws_need_not_be_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine it must: without it the next command would go to AWS."""
    told: list[str] = []
    monkeypatch.setattr(Run, "note", lambda _run, code, _detail="": told.append(code))
    run = Run("up", Options(), Screen())
    names = Names("demo", ACCOUNT, REGION)
    aws = SimpleNamespace(place=Place(REGION), custom_endpoint=None)
    run.begin(Connection(Target("demo", region=REGION), aws, names))  # type: ignore[arg-type]
    run.keep(Remembered(Target("demo"), ACCOUNT, REGION, None, NAMES.bucket, "http://x", TOKEN, False, 70.0))
    assert told == ["not_remembered"]
    with pytest.raises(Problem, match="Cannot write"):
        run.begin(Connection(Target("demo", local=True), aws, names))  # type: ignore[arg-type]


@POSIX
def test_a_folder_that_others_may_change_is_still_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path / "shared"))
    with pytest.raises(Problem, match="Other users"):
        Targets()
