"""A folder's imgpipe.toml and the user's own targets.json, whatever is in their place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe_cli.target import Remembered, Target, Targets
from tests.functional.cli import Cli, runner
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, rows
from tests.hostile.kept_files import CONFIGURATIONS, PASSES, PIPELINE, STATES, FileRow
from tests.hostile.pipeline import refusing

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
    assert (target, known.token) == (Target("imgpipe", region="eu-west-1"), "never-shown")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_others_could_read_is_theirs_no_more_once_it_is_written(cli: Cli, state: Path) -> None:
    path = state / "targets.json"
    path.write_text("{}")
    path.chmod(0o666)
    Targets().put(Remembered(**{**PIPELINE, "target": Target("imgpipe", region="eu-west-1")}))
    assert path.stat().st_mode & 0o777 == 0o600
