"""Help that can be read at any width, and what was meant by a command or an option that there is not."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.commands.options import SHARED_PARAMETERS
from imgpipe_cli.commands.program import program, whole_program
from imgpipe_cli.commands.table import COMMANDS, EXAMPLES, sections
from tests.support.cli import Cli

APP: Any = whole_program()


def _pages(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of each command and group, `imgpipe` itself too."""
    yield path
    for name, found in getattr(group, "commands", {}).items():
        yield from _pages(found, *path, name)


def _command(words: tuple[str, ...]) -> Any:
    found = APP
    for word in words:
        found = found.commands[word]
    return found


PAGES = tuple(_pages(APP))
WIDTHS = ("60", "80", "200")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_each_page_of_help_is_whole(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, page: tuple[str, ...], width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    printed = cli(*page, "--help")
    assert printed.code == 0
    assert max(len(line) for line in printed.out.splitlines()) <= int(width)
    assert not re.search(r"<(int|float)|range>|[<>]=|[{}]", printed.out)
    # Nothing is cut: the sentences are there as they were written, but for where lines end.
    words = " ".join(printed.out.split())
    command = _command(page)
    assert " ".join(command.help.split()) in words
    for parameter in command.params:
        if not getattr(parameter, "hidden", False) and parameter.help:
            assert not re.match(r"(What|Whose|Who|Whoever)\b", parameter.help)
            assert " ".join(parameter.help.split()) in words
    usage = printed.out.partition("\n\n")[0]
    assert "..." not in re.sub(r"(PATH|KEY|LABEL|NAME|ARGS|web)\]?\]?\.\.\.", "", usage)


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_each_page_ends_with_examples_that_are_right(cli: Cli, page: tuple[str, ...]) -> None:
    examples = cli(*page, "--help").out.partition("\nExamples:\n")[2].splitlines()
    assert examples
    for line in examples:
        assert line.startswith("  ")
        found = re.search(r"imgpipe [^>|<)]*", line)
        assert found is not None
        words = shlex.split(found[0].replace('"', ""))[1:]
        command: Any = APP
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        with command.make_context("imgpipe", words):  # raises what wrong usage raises
            pass


def test_the_examples_are_of_pages_that_there_are() -> None:
    assert set(EXAMPLES) == {" ".join(page) for page in PAGES}


def test_the_commands_stand_by_what_they_are_for(cli: Cli) -> None:
    out = cli("--help").out
    assert sorted(name for names in sections().values() for name in names) == sorted(APP.commands)
    places = [out.index(f"\n{title}:\n") for title in sections()]
    assert places == sorted(places)
    for title, names in sections().items():
        section = out.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines() if line[2] != " "] == list(names)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_list_shows_the_first_sentence_of_the_command_itself(words: str) -> None:
    command = _command(tuple(words.split()))
    assert command.get_short_help_str(10_000) == COMMANDS[words].summary
    assert not command.hidden


def test_the_lists_name_each_command_that_there_is() -> None:
    def names(group: Any) -> dict[str, Any]:
        return {name: names(found) for name, found in getattr(group, "commands", {}).items()}

    listed = names(program())
    assert listed["local"].pop("models") == {}  # its commands come with its module
    whole = names(APP)
    assert set(whole["local"].pop("models")) == {"fetch", "pack"}
    assert listed == whole


@pytest.mark.parametrize(
    ("line", "modules"),
    [
        ("--help", []),
        ("local --help", []),
        ("nosuch", []),
        ("result --help", ["result"]),
        ("local status --help", ["local"]),
        ("local faults --help", ["local_faults"]),
        ("local models fetch --help", ["local_models"]),
    ],
)
def test_only_the_module_of_the_command_that_is_called_is_imported(line: str, modules: list[str]) -> None:
    code = (
        "import sys; from imgpipe_cli.cli import main; main(sys.argv[1:]);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()], check=True, capture_output=True, text=True
    )
    loaded = done.stderr.splitlines()[-1].split()
    own = {f"imgpipe_cli.commands.{entry.module}" for entry in COMMANDS.values()}
    assert [name for name in loaded if name in own] == [f"imgpipe_cli.commands.{name}" for name in modules]


@pytest.mark.parametrize(
    ("line", "offered"), [("re", {"result", "retry"}), ("local sta", {"start", "status"})]
)
def test_commands_are_completed_without_importing_one(line: str, offered: set[str]) -> None:
    code = "import sys; from imgpipe_cli.cli import main; sys.exit(main([]))"
    words = f"imgpipe {line}"
    variables = {"_IMGPIPE_COMPLETE": "complete_bash", "COMP_WORDS": words}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env={**os.environ, **variables, "COMP_CWORD": str(words.count(" "))},
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) == offered
    assert "imgpipe_cli.commands.program" in done.stderr
    assert not [entry.module for entry in COMMANDS.values() if f"commands.{entry.module}\n" in done.stderr]


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_what_every_command_has_stands_apart(cli: Cli, page: tuple[str, ...]) -> None:
    before, title, after = cli(*page, "--help").out.partition("\nOptions of every command:\n")
    shared = {f"--{parameter.name}" for parameter in SHARED_PARAMETERS if parameter.name != "local"}
    if page and title and "--json" in after:
        assert {option for option in shared if re.search(rf"^  {option}\b", after, re.MULTILINE)} == shared
        assert not {option for option in shared if re.search(rf"^  {option}\b", before, re.MULTILINE)}


# --- suggestions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("search", "imgpipe list --label NAME"),
        ("delete", "imgpipe down"),
        ("ls", "imgpipe list"),
        ("LS", "imgpipe list"),
        ("help", "imgpipe --help"),
        ("version", "imgpipe --version"),
        ("deploy", "imgpipe up"),
        ("add", "imgpipe upload"),
        ("get", "imgpipe result"),
        ("destroy", "imgpipe down"),
        ("start", "imgpipe local start"),
        ("results", "imgpipe result"),
        ("lokal", "imgpipe local"),
        ("local ls", "imgpipe local status"),
        ("local up", "imgpipe up --local"),
        ("local stat", "imgpipe local start or imgpipe local status"),
        ("local models fetsh", "imgpipe local models fetch"),
    ],
)
def test_a_command_that_there_is_not_suggests_the_one_that_was_meant(
    cli: Cli, typed: str, meant: str
) -> None:
    printed = cli(*typed.split())
    assert printed.code == 2
    error, hint = printed.err.splitlines()
    assert error == f"Error: No such command '{typed.rsplit(maxsplit=1)[-1]}'."
    assert hint.startswith(f"Hint: Did you mean {meant}")
    assert hint.count("imgpipe --help") <= 1


@pytest.mark.parametrize("typed", ["zzzz", "it's", 'a"b', "'. Did you mean", ""])
def test_what_is_like_nothing_suggests_nothing(cli: Cli, typed: str) -> None:
    printed = cli(typed)
    assert printed.code == 2
    assert printed.err.splitlines()[-1] == "Hint: See imgpipe --help."


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("list --limits 3", "--limit"),
        ("list --jsn", "--json"),
        ("up --featurs text", "--features"),
        ("down --force", "--yes"),
        ("up --privat", "--private"),
        ("result k --threshold 80", "--min-confidence"),
    ],
)
def test_an_option_that_there_is_not_suggests_the_nearest(cli: Cli, typed: str, meant: str) -> None:
    printed = cli(*typed.split())
    assert printed.code == 2
    command = typed.split(maxsplit=1)[0]
    assert printed.err.splitlines()[-1] == f"Hint: Did you mean {meant}? See imgpipe {command} --help."
    document = cli(*typed.split(), "--json").document
    assert document["errors"][0]["hint"].startswith(f"Did you mean {meant}?")


HIDDEN = [
    (page, parameter.opts[0])
    for page in PAGES
    for parameter in _command(page).params
    if getattr(parameter, "hidden", False)
]


def test_there_are_hidden_options_to_try() -> None:
    assert (("down",), "--workers") in HIDDEN


@pytest.mark.parametrize(("page", "option"), HIDDEN)
def test_a_hidden_option_is_never_suggested(cli: Cli, page: tuple[str, ...], option: str) -> None:
    for typed in (option[:-1], f"{option}s", option.replace("o", "0"), "--force", "--work"):
        for json_too in ((), ("--json",)):
            printed = cli(*page, typed, *json_too)
            assert printed.code == 2
            assert option not in (printed.out + printed.err).replace(typed, "")
    assert json.loads(printed.out)["errors"][0]["code"] == "bad_usage"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("list --limit x", "Invalid value for '--limit': 'x' is not a whole number."),
        ("list --limit -5", "Invalid value for '--limit': -5 is below 0."),
        ("list --min-confidence 200", "200.0 is not from 0 to 100."),
        ("local start --port 99999999", "99999999 is not from 1 to 65535."),
        ("local logs --lines many", "'many' is not a whole number."),
        ("upload x --timeout soon", "'soon' is not a number."),
    ],
)
def test_a_number_that_is_none_is_told_in_words(cli: Cli, typed: str, error: str) -> None:
    printed = cli(*typed.split())
    assert printed.code == 2
    assert printed.err.splitlines()[0].endswith(error)
    assert not re.search(r"range|[<>]=", printed.err)


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("up --features", "imgpipe up"),
        ("list --limit", "imgpipe list"),
        ("local start --port", "imgpipe local start"),
        ("up --json=3", "imgpipe up"),
        ("--region", "imgpipe"),
        ("--json=3 nosuch", "imgpipe"),
    ],
)
def test_an_option_without_its_value_names_the_page_of_its_command(cli: Cli, typed: str, page: str) -> None:
    printed = cli(*typed.split())
    assert (printed.code, printed.err.splitlines()[-1]) == (2, f"Hint: See {page} --help.")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--tps", "0"), ("--throttle", "200"), ("--errors", "-1"), ("--latency", "nan"), ("--operation", "X")],
)
def test_a_wrong_fault_is_told_by_its_option(cli: Cli, option: str, value: str) -> None:
    printed = cli("local", "faults", option, value)
    assert printed.code == 2
    assert printed.err.startswith(f"Error: {option} must be ")
