"""Whatever is typed or set: an error that says what is wrong, and its exit code; never more than that."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgpipe_cli.local.process import control
from imgpipe_cli.render.screen import Screen
from tests.hostile.command_lines import CLOSED, COMMAND_LINES, CommandRow
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, rows
from tests.support.cli import Cli, process, runner

LIMIT = 2_000
PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    set_up = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "never-shown",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": CLOSED,
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in set_up.items():
        monkeypatch.setenv(name, value)
    return runner(capsys)


@rows(COMMAND_LINES)
def test_a_command_line_ends_as_it_should(cli: Cli, monkeypatch: pytest.MonkeyPatch, row: CommandRow) -> None:
    for name, value in row.environment.items():
        monkeypatch.setenv(name, value)
    printed = calm(cli(*row.arguments))
    assert (printed.code, printed.out) == (row.code, "")
    told = printed.err.splitlines()
    assert len(told) <= 4  # the target, and an error of three lines
    assert len(printed.err) < LIMIT
    assert told[-1].startswith("Hint: ")
    for secret in ("never-shown", "Signature="):
        assert secret not in printed.err
    if "IMGPIPE_JSON" not in row.environment:
        monkeypatch.setenv("IMGPIPE_JSON", "1")
        assert cli(*row.arguments).error == row.error


@pytest.mark.skipif(os.name != "posix", reason="TZ and BROWSER as POSIX has them")
def test_a_process_takes_any_zone_and_browser(cli: Cli) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TZ": "XXX-14", "BROWSER": '"%s'}
    late = calm(process("list", "--since", "9999-12-31T23:59:59+00:00", env=environment))
    assert (late.code, late.out) == (2, "")
    asked = "from imgpipe_cli.pictures import browser; print(browser.browser_there())"
    found = subprocess.run(
        [sys.executable, "-c", asked], env=environment, check=True, capture_output=True, text=True
    )
    assert found.stdout == "False\n"


def test_an_error_about_a_file_has_an_end_too(cli: Cli) -> None:
    Path("imgpipe.toml").write_text(f"{'x' * 60_000} = 1")
    words = calm(cli("list")).err
    Path("imgpipe.toml").write_text(f'"{"x " * 20_000}" = 1')
    for printed in (words, calm(cli("list")).err):
        assert printed.startswith("Error: imgpipe.toml has an unknown option 'x")
        assert len(printed) < LIMIT


def test_paths_in_output_are_only_shown(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path / "e\x1b]0;X\x07"))
    for command in ("status", "models"):
        assert "e\\x1b]0;X\\x07" in calm(cli("local", command)).out


@pytest.mark.skipif(os.name != "posix", reason="a folder in use cannot be removed")
def test_a_folder_that_is_gone_has_no_options(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli("list", "--json").error == "unreachable"


@pytest.mark.parametrize("arguments", [("list",), ("logs",), ("watch",), ("upload", "a", "--wait")])
def test_a_stream_that_fails_has_its_error_in_a_line(cli: Cli, arguments: tuple[str, ...]) -> None:
    for more in (("--project", "Bad"), ("--nope",)):
        printed = cli(*arguments, *more, "--json")
        assert [one["status"] for one in printed.lines] == ["usage"]


def test_the_local_log_is_json_a_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path))
    assert [one["status"] for one in cli("local", "logs", "--json").lines] == ["failed"]
    control.log_file().parent.mkdir(parents=True, exist_ok=True)
    control.log_file().write_text("one\ntwo\x1b[2J\n")
    assert cli("local", "logs", "--json").lines == [{"message": "one"}, {"message": "two\x1b[2J"}]
    assert calm(cli("local", "logs")).out == "one\ntwo\\x1b[2J\n"


def test_a_group_alone_is_a_document_in_json(cli: Cli) -> None:
    assert cli("--json", "local").error == "bad_usage"


@pytest.mark.parametrize(("typed", "answer"), [(b"", None), (b"\n", ""), (b"\xff \n", "\ufffd")])
def test_what_is_typed_is_read_whatever_it_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, typed: bytes, answer: str | None
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
    cli("--version")
    assert Screen().ask("Really?") == answer


PROCESSES = {"cli-undecodable-bytes": b"a\xff\xfe", "cli-escapes-as-bytes": b"\x1b[2J\xc2\x9b31m"}


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes on POSIX only")
@pytest.mark.parametrize("argument", PROCESSES.values(), ids=PROCESSES)
@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
def test_a_process_takes_any_bytes(cli: Cli, argument: bytes, language: str) -> None:
    # The test is not in the project's folder.
    environment = {**os.environ, "LC_ALL": language, "PYTHONUTF8": "0", "PYTHONPATH": str(PROJECT)}
    printed = calm(process("logs", os.fsdecode(argument), env=environment))
    assert (printed.code, printed.out) == (2, "")
    assert "There is no function" in printed.err
