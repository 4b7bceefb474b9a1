"""What holds for every command: exit codes, help, options, JSON, errors."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imgpipe_cli import __version__
from imgpipe_cli.commands.program import whole_program
from imgpipe_cli.commands.status import exit_code
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.session.settings import Settings
from tests.support.api_server import Answer, FakeApi, item, serving
from tests.support.cli import NAMES, PROGRAM, REGION, Cli, process, remember


def _commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of each command that does something, those in groups too."""
    for name, found in group.commands.items():
        yield from _commands(found, *path, name) if hasattr(found, "commands") else [(*path, name)]


COMMANDS = tuple(_commands(whole_program()))


@pytest.fixture
def played() -> Iterator[FakeApi]:
    with serving() as api:
        yield api


# --- help ----------------------------------------------------------------------------------------


def test_the_version_is_the_packages(cli: Cli) -> None:
    printed = cli("--version")
    assert (printed.code, printed.out, printed.err) == (0, f"imgpipe {__version__}\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(cli: Cli, flag: str) -> None:
    printed = cli(flag)
    assert printed.code == 0
    for command, *_ in COMMANDS:
        assert f"  {command} " in printed.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_the_options_of_all(cli: Cli, command: tuple[str, ...]) -> None:
    printed = cli(*command, "--help")
    assert printed.code == 0
    assert f"imgpipe {' '.join(command)}" in printed.out
    for option in ("--project", "--profile", "--region", "--local / --aws", "--json", "--verbose"):
        assert option in printed.out


def test_without_arguments_help_is_shown_and_that_is_wrong_usage(cli: Cli) -> None:
    printed = cli()
    assert printed.code == 2
    assert printed.out == cli("--help").out
    assert cli("local").code == 2


# --- usage errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fly",), "fly"),
        (("up", "--nope"), "--nope"),
        (("--nope", "up"), "--nope"),
        (("result",), "KEY"),
        (("upload",), "PATH"),
        (("result", "k", "--min-confidence", "101"), "101"),
        (("result", "k", "--min-confidence", "much"), "much"),
        (("result", "k", "--timeout", "-1"), "-1"),
        (("up", "--project"), "--project"),
        (("local", "fly"), "fly"),
        (("watch", "nowhere"), "nowhere"),
        (("watch", "--since", "soon"), "soon"),
        (("upload", "-"), "Standard input"),
        (("result", "k", "--project", "Bad"), "Bad"),
        (("result", "k", "--project", ""), "''"),
        (("result", "k", "--local", "--profile", "p"), "profile"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_and_where_to_look(
    cli: Cli, arguments: tuple[str, ...], words: str
) -> None:
    printed = cli(*arguments)
    assert printed.code == 2
    assert printed.out == ""
    error, hint = printed.err.splitlines()
    assert error.startswith("Error: ")
    assert words in error
    assert hint.startswith("Hint: ")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("up", "--nope", "--json"), "up"),
        (("--json", "fly"), "fly"),
        (("--json",), "imgpipe"),
        (("--project", "demo", "--json", "up", "--nope"), "up"),
        (("--json", "local", "fly"), "local fly"),
        # Wherever it stands, also behind what is wrong and before what is not known.
        (("fly", "--json"), "fly"),
        (("--nope", "list", "--json"), "list"),
        (("local", "fly", "--json"), "local fly"),
        (("local", "models", "fly", "--json"), "local models fly"),
        (("list", "--limit", "many", "--json"), "list"),
        (("result", "--json"), "result"),
        (("result", "k", "--json", "--timeout"), "result"),
    ],
)
def test_in_json_wrong_usage_is_the_same_document(cli: Cli, arguments: tuple[str, ...], command: str) -> None:
    printed = cli(*arguments)
    assert printed.code == 2
    assert printed.err == ""
    assert printed.error == "bad_usage"
    assert (printed.document["command"], printed.document["status"]) == (command, "usage")


@pytest.mark.parametrize(
    ("option", "code"), [(("--features", "cats"), "bad_features"), (("--results", "s4"), "bad_results")]
)
def test_up_sees_a_slip_of_the_pen_before_it_starts_anything(
    cli: Cli, option: tuple[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the local cloud, nor its models, nor the list of steps."""
    monkeypatch.setattr("imgpipe_cli.commands.runtime.Run.connect", None)
    printed = cli("up", "--local", *option, "--json")
    assert (printed.code, printed.error, printed.err) == (2, code, "")


def test_what_is_the_value_of_an_option_is_no_option(cli: Cli) -> None:
    printed = cli("list", "--label", "--json", "--nope")
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.startswith("Error: No such option: --nope")


@pytest.mark.parametrize(
    ("line", "one_line"),
    [
        ("list --nope", True),
        ("local logs --nope", True),
        ("upload x --wait --nope", True),
        ("upload x --nope", False),
        ("result k --wait --nope", False),
    ],
)
def test_where_json_comes_line_by_line_an_error_is_a_line_too(cli: Cli, line: str, one_line: bool) -> None:
    printed = cli(*line.split(), "--json")
    assert printed.error == "bad_usage"
    assert (printed.out.count("\n") == 1) is one_line


# --- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ({"ready"}, ExitCode.DONE),
        ({"ready", "drifted"}, ExitCode.FAILED),
        ({"ready", "missing"}, ExitCode.FAILED),
        ({"ready", "busy", "missing"}, ExitCode.FAILED),
        ({"missing"}, ExitCode.NOT_SET_UP),
        ({"missing", "not_owned"}, ExitCode.NOT_SET_UP),
        ({"ready", "busy"}, ExitCode.PENDING),
        ({"busy"}, ExitCode.PENDING),
    ],
)
def test_status_tells_scripts_how_the_pipeline_stands(states: set[Any], code: ExitCode) -> None:
    assert exit_code(states) is code


# --- one document for success and failure ----------------------------------------------------------


def test_success_failure_and_wrong_usage_have_the_same_keys(cli: Cli, played: FakeApi) -> None:
    played.store(item("a"), item("b", status="failed", error={"code": "x", "message": "m", "hint": "h"}))
    remember(played.url)
    found = {
        arguments: cli("result", *arguments, "--json") for arguments in (("a",), ("a", "b"), ("--nope",))
    }
    assert [one.code for one in found.values()] == [0, 1, 2]
    assert [one.document["status"] for one in found.values()] == ["done", "failed", "usage"]
    assert {one.document["command"] for one in found.values()} == {"result"}


def test_a_group_has_one_name_in_success_and_failure(cli: Cli) -> None:
    stopped, missing = cli("local", "stop", "--json"), cli("local", "env", "--json")
    assert (stopped.code, stopped.document["command"]) == (0, "local stop")
    assert (missing.code, missing.document["command"]) == (3, "local env")
    assert missing.error == "local_not_running"


def test_not_set_up_exits_3_with_the_way_out(cli: Cli) -> None:
    with mock_aws():
        printed = cli("result", "a", "--region", "eu-west-1")
    assert printed.code == 3
    assert "imgpipe up" in printed.err


# --- options before and after the command ------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "result", "a", "--project", "demo"),
        ("--project", "demo", "result", "a", "--json"),
        ("--project", "demo", "--json", "result", "a"),
        ("result", "--json", "--project", "demo", "a"),
    ],
)
def test_options_may_stand_on_either_side(cli: Cli, played: FakeApi, arguments: tuple[str, ...]) -> None:
    played.store(item("a"))
    remember(played.url)
    remember("http://127.0.0.1:9/prod", project="other")
    assert cli(*arguments).document["data"] == [item("a")]


def test_behind_the_command_wins(cli: Cli, played: FakeApi) -> None:
    played.store(item("a"))
    remember(played.url)
    assert cli("--project", "other", "result", "a", "--project", "demo", "--json").code == 0


def test_a_flag_wins_over_the_environment_on_either_side(
    cli: Cli, played: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.store(item("a"))
    remember(played.url)
    monkeypatch.setenv("IMGPIPE_PROJECT", "other")
    assert cli("--project", "demo", "result", "a").code == 0
    assert cli("result", "a", "--project", "demo").code == 0


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_json_can_be_asked_for_by_the_environment(
    cli: Cli, played: FakeApi, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    played.store(item("a"))
    remember(played.url)
    monkeypatch.setenv("IMGPIPE_JSON", value)
    assert cli("result", "a").document["status"] == "done"
    assert cli("result", "--nope").document["status"] == "usage"


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [False, True])
def test_a_traceback_is_for_verbose_only(cli: Cli, played: FakeApi, verbose: bool) -> None:
    remember(played.url)
    # Our functions would never answer this.
    played.instead.append(Answer(body={**item("a"), "labels": 7}))
    printed = cli("result", "a", *(["--verbose"] if verbose else []))
    assert printed.code == 1
    assert "Error: Something unexpected happened (TypeError" in printed.err
    assert ("Traceback" in printed.err) is verbose
    if not verbose:
        assert len(printed.err.splitlines()) <= 3 + 1  # and the line that names the target
        assert "--verbose" in printed.err


def test_an_expected_error_has_no_traceback_and_verbose_shows_its_cause(cli: Cli) -> None:
    assert "Traceback" not in cli("result", "a", "--region", "eu-west-1").err
    printed = cli("result", "a", "--region", "eu-west-1", "--verbose")
    assert "NoCredentialsError" in printed.err
    assert "Error: Could not sign in: No AWS credentials were found." in printed.err


def test_an_api_that_does_not_answer_and_no_way_to_look_it_up(cli: Cli) -> None:
    remember("http://127.0.0.1:9/prod")
    printed = cli("result", "a", "--json")
    assert printed.code == 1
    assert printed.error == "no_credentials"


def test_down_away_from_a_terminal_needs_yes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    remember("http://127.0.0.1:9/prod")
    with mock_aws():
        ssm: Any = boto3.client("ssm", region_name=REGION)
        ssm.put_parameter(
            Name=NAMES.settings_parameter, Value=Settings().to_json(), Type="String", Tags=NAMES.tag_list
        )
        for stdin in (io.StringIO("demo\n"), None):  # a pipe, and a program without standard input
            monkeypatch.setattr("sys.stdin", stdin)
            printed = cli("down", "--json")
            assert (printed.code, printed.error) == (2, "not_confirmed")
            assert "--yes" in printed.document["errors"][0]["hint"]
        assert len(ssm.describe_parameters()["Parameters"]) == 1
        printed = cli("down", "--json", "--yes")
        assert (printed.code, printed.document["data"]) == (
            0,
            {"removed": ["settings"], "left": [], "skipped": []},
        )
        # Nothing is there any more, so nothing has to be confirmed.
        printed = cli("down", "--json")
        assert (printed.code, printed.document["data"]) == (0, {"removed": [], "left": [], "skipped": []})


# --- processes -----------------------------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [*PROGRAM, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None and started.stderr is not None
        started.stdout.close()  # before anything is written
        errors = started.stderr.read()
    assert (started.returncode, errors) == (0, "")


def test_a_shells_head_gets_its_line() -> None:
    command = f"{sys.executable} -m imgpipe_cli --help | head -n 1"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: imgpipe")


def test_an_interrupt_exits_130_in_one_line(played: FakeApi) -> None:
    remember(played.url)
    with subprocess.Popen(
        [*PROGRAM, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stderr is not None
        assert "demo" in started.stderr.readline()
        assert "Watching" in started.stderr.readline()
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err.strip()) == (130, "", "Interrupted.")


_MEETS_A_SIGNAL_IN_A_CALLBACK = """
import signal, sys, time
from imgpipe_cli import __main__, cli

class Forgotten:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))

def run():
    Forgotten()
    time.sleep(60)
    return 0

cli.main = run
__main__.main()
"""


@pytest.mark.parametrize(
    ("name", "code", "words"), [("SIGINT", 130, "Interrupted.\n"), ("SIGTERM", 143, ""), ("SIGHUP", 129, "")]
)
def test_a_signal_that_comes_in_a_callback_is_not_lost(name: str, code: int, words: str) -> None:
    """As those of awscrt: Python only prints what they raise."""
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip("Windows has no SIGHUP")
    program = [sys.executable, "-c", _MEETS_A_SIGNAL_IN_A_CALLBACK, str(int(number))]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr.lstrip()) == (code, words)


def test_another_end_in_a_callback_is_only_printed() -> None:
    program = _MEETS_A_SIGNAL_IN_A_CALLBACK.replace("signal.raise_signal(int(sys.argv[1]))", "sys.exit(3)")
    command = [sys.executable, "-c", program.replace("time.sleep(60)", "pass")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0
    assert "SystemExit: 3" in done.stderr


def test_without_a_terminal_nothing_is_colored(played: FakeApi) -> None:
    played.store(item("a", labels=[{"Name": "Cat", "Confidence": 99.0}]))
    remember(played.url)
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    printed = process("result", "a", env=environment)
    assert "Cat" in printed.out
    assert "\x1b" not in printed.out + printed.err


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal_colors_go_away_with_no_color(played: FakeApi, no_color: bool) -> None:
    import pty

    played.store(item("a", labels=[{"Name": "Cat", "Confidence": 99.0}]))
    remember(played.url)
    environment = {**os.environ, "TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_color else {})}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "result", "a"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as started:
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # Linux's way to say that the other side is closed
            pass
    os.close(ours)
    assert started.returncode == 0
    assert b"Cat" in text
    assert (b"\x1b" in text) is not no_color


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("result", "a", "--json"), ("result", "a"), ("list",)]
)
def test_nothing_slow_is_loaded_where_it_is_not_needed(played: FakeApi, arguments: tuple[str, ...]) -> None:
    played.store(item("a"))
    remember(played.url)
    code = (
        "import sys; from imgpipe_cli.cli import main; code = main(sys.argv[1:]);"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "imgpipe_cli" in loaded
    assert not loaded & {"boto3", "botocore", "rich", "pydantic"}
    assert ("typer" in loaded) is (arguments != ("--version",))
