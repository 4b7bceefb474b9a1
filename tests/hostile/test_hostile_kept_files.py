"""A folder's imgpipe.toml and the user's own targets.json, whatever is in their place."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.files import LocalFiles, make_folders, read_cloud
from imgpipe_cli.local.process import control
from imgpipe_cli.local.rekognition.faults import Faults
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered, Target
from imgpipe_cli.system.process_lock import FileLock
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, rows
from tests.hostile.kept_files import CLOUD, CLOUDS, CONFIGURATIONS, LOGS, PASSES, PIPELINE, STATES, FileRow
from tests.hostile.pipeline import refusing
from tests.support.cli import Cli, runner

pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with refusing() as url:
        yield url


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: str) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-shown")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    return runner(capsys)


@rows([row for row in CONFIGURATIONS if row.there()])
def test_a_configuration_is_taken_or_told_of(cli: Cli, row: FileRow) -> None:
    row.make(Path("imgpipe.toml"))
    printed = cli("list", "--json")
    assert printed.error == row.error
    assert printed.code == (1 if row.error in (PASSES, "bad_profile") else 2)
    told = calm(cli("list"))
    if row.error == "bad_configuration":
        assert "imgpipe.toml" in told.err
        assert len(told.err) < 1000


@rows([row for row in STATES if row.there()])
def test_what_is_remembered_is_taken_or_looked_up(cli: Cli, state: Path, row: FileRow) -> None:
    row.make(state / "targets.json")
    for arguments in (("list",), ("result", "a.jpg")):
        printed = calm(cli(*arguments))
        assert printed.code == 1
        assert "never-shown" not in printed.err
        assert cli(*arguments, "--json").error == row.error


def test_a_file_of_the_right_kind_is_taken(cli: Cli, state: Path) -> None:
    """So that the rows above do not pass because nothing is ever read."""
    row = next(row for row in STATES if row.id == "state-url-empty")
    row.make(state / "targets.json")
    target, (known,) = Targets().read()
    assert isinstance(known, Remembered)
    assert (target, known.token) == (Target("imgpipe", region="eu-west-1"), "never-shown")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_others_could_read_is_theirs_no_more_once_it_is_written(cli: Cli, state: Path) -> None:
    path = state / "targets.json"
    path.write_text("{}")
    path.chmod(0o666)
    Targets().put(Remembered(**{**PIPELINE, "target": Target("imgpipe", region="eu-west-1")}))
    assert path.stat().st_mode & 0o777 == 0o600


# --- of the local cloud --------------------------------------------------------------------------

_ENDS_AT_ONCE = (sys.executable, "-c", "raise SystemExit(1)")


@pytest.fixture
def local(state: Path) -> LocalFiles:
    files = LocalFiles(state / "local")
    make_folders(files)
    return files


def test_what_a_cloud_wrote_about_itself_is_read(local: LocalFiles) -> None:
    local.cloud.write_text(json.dumps(CLOUD))
    assert read_cloud(local) == CLOUD


def _start_fails(state: Path) -> str:
    with pytest.raises(Problem) as caught:
        control.start(state, command=_ENDS_AT_ONCE)
    assert "never-shown" not in caught.value.message
    return caught.value.code


@rows([row for row in CLOUDS if row.there()])
def test_what_a_cloud_wrote_about_itself_is_taken_for_nothing(
    state: Path, local: LocalFiles, row: FileRow
) -> None:
    row.make(local.cloud)
    assert read_cloud(local) is None  # so that no process is ended, and no port asked
    lock = FileLock(local.cloud_lock)
    assert lock.acquire()  # as if its process lived
    assert control.running(state) is None
    assert control.condition(state) == "silent"
    assert control.status(state).cloud is None
    with pytest.raises(Problem, match="not running"):
        control.turn_faults(Faults(), state)
    lock.release()
    assert _start_fails(state) == (row.error or "local_not_started")


@rows([row for row in LOGS if row.there()])
def test_what_is_in_the_place_of_the_log_is_told_of(
    cli: Cli, state: Path, local: LocalFiles, row: FileRow
) -> None:
    row.make(local.log)
    assert _start_fails(state) == row.error
    assert calm(cli("local", "logs")).code == 1
    assert cli("local", "logs", "--json").error == "no_log"
