"""Wording, the board of the steps, and what reaches a screen."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from imgpipe_cli.deploy.resource import Observed, Resource, Step
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import (
    Changing,
    Counted,
    Looking,
    Note,
    Refused,
    Sent,
    Settled,
    Skipped,
    Verb,
    Waiting,
)
from imgpipe_cli.render import text
from imgpipe_cli.render.board import DONE_WORDS, Board
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.result import Result


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("ü 日本 😀.jpg", "ü 日本 😀.jpg"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x07\x00\x7f", "\\x07\\x00\\x7f"),
        ("photo\u202egpj.exe", "photo\\u202egpj.exe"),
        ("\u2066a\u2069\u200f\ufeff\u200b", "\\u2066a\\u2069\\u200f\\ufeff\\u200b"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\udcff.jpg", "\\udcff.jpg"),
        ("a\u3164\u115f\uffa0b", "a\\u3164\\u115f\\uffa0b"),
        ("a\u2800\u034f\u180b", "a\\u2800\\u034f\\u180b"),
        ("a\ufe0f\ufe0e\U000e0100", "a\\ufe0f\\ufe0e\\U000e0100"),
        ("z" + "\u0336" * 6 + "z\u0336", "z" + "\u0336" * 4 + "\\u0336\\u0336z\u0336"),
        ("\u2764\ufe0f\ufe0f.jpg", "\u2764\ufe0f\\ufe0f.jpg"),
        ("Tie\u0302\u0301ng Vie\u0323\u0302t", "Tie\u0302\u0301ng Vie\u0323\u0302t"),
        ("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd"),
        ("\u0928\u092e\u0938\u094d\u0924\u0947", "\u0928\u092e\u0938\u094d\u0924\u0947"),
        ("", ""),
        (7, "7"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(value: object, shown: str) -> None:
    assert text.safe(value) == shown


def test_no_character_at_all_is_obeyed() -> None:
    everything = "".join(map(chr, range(0x3000)))
    assert text.safe(everything).isprintable()


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1023 B"),
        (1024, "1 KB"),
        (1536, "1.5 KB"),
        (1024**2 - 52, "1023.9 KB"),
        (1024**2 - 51, "1 MB"),
        (15_728_640, "15 MB"),
        (28_311_552, "27 MB"),
        (27_000_000, "25.7 MB"),
        (2_500_000_000, "2.3 GB"),
        (5_000_000_000_000, "4656.6 GB"),
    ],
)
def test_sizes(size_bytes: float, shown: str) -> None:
    assert text.size(size_bytes) == shown


def test_counts() -> None:
    assert text.count(0, "picture") == "0 pictures"
    assert text.count(1, "picture") == "1 picture"
    assert text.count(12345, "picture") == "12,345 pictures"


def test_every_change_has_a_word_for_when_it_is_done() -> None:
    assert list(DONE_WORDS) == list(get_args(Verb))


def test_durations() -> None:
    assert [text.seconds(value) for value in (0.04, 9.94, 10.0, 83.4)] == ["0.0 s", "9.9 s", "10 s", "83 s"]


def test_every_note_that_is_told_has_its_words() -> None:
    package = Path(text.__file__).parents[1]
    code = {path: path.read_text() for path in package.rglob("*.py") if path != Path(text.__file__)}
    told = {name for source in code.values() for name in re.findall(r'\b(?:Note|run\.note)\("(\w+)"', source)}
    assert "watching" in told
    assert told <= set(text.NOTES)
    assert [name for name in text.NOTES if not any(f'"{name}"' in source for source in code.values())] == []
    for name in told:
        assert "\x1b" not in text.note(name, "\x1b[2J{x}")


# --- the board -----------------------------------------------------------------------------------


class Thing(Resource):
    def __init__(self, name: str) -> None:
        self.name = self.title = name

    def observe(self, aws: Any, names: Any) -> Observed:
        raise NotImplementedError

    def diff(self, context: Any) -> Any:
        raise NotImplementedError


STEPS = (Step("one", "First step", (Thing("a"), Thing("b"))), Step("two", "Second step", (Thing("c"),)))


def _settled(step: str, resource: str) -> Settled:
    return Settled(step, resource, changed=False)


def test_a_step_is_pending_then_busy_then_done() -> None:
    board = Board(STEPS)
    row = board.rows["one"]
    states = [row.state]
    for event in (
        Looking("one", "a"),
        Changing("one", "a", "create", "bucket x"),
        Waiting("one", "a", "creating", 4.2),
        _settled("one", "a"),
        _settled("one", "b"),
    ):
        board.event(event)
        states.append(row.state)
    assert states == ["pending", "pending", "busy", "busy", "busy", "done"]
    assert row.summary == "created bucket x"


def test_a_step_says_what_it_waits_for_and_how_long() -> None:
    board = Board(STEPS)
    board.event(Waiting("two", "c", "creating", 4.2))
    assert board.rows["two"].summary == "creating, 4.2 s"
    board.event(Counted("two", "c", 12345))
    assert board.rows["two"].summary == "12,345 versions deleted"


def test_a_step_without_changes_is_unchanged() -> None:
    board = Board(STEPS)
    board.event(_settled("two", "c"))
    assert (board.rows["two"].state, board.rows["two"].summary) == ("unchanged", "")


def test_several_changes_are_counted_and_repeats_are_not() -> None:
    board = Board(STEPS)
    for what in ("x", "x", "y", "z"):
        board.event(Changing("two", "c", "set", what))
    board.event(_settled("two", "c"))
    assert board.rows["two"].summary == "set x, and 2 more"


@pytest.mark.parametrize(
    ("why", "words_"),
    [
        ("foreign", "not imgpipe's, left alone"),
        ("unmarked", "empty and without tags, left alone"),
        ("kept", "kept"),
    ],
)
def test_what_is_left_alone_says_why(why: str, words_: str) -> None:
    board = Board(STEPS)
    board.event(Skipped("two", "c", "bucket x", why))
    board.event(_settled("two", "c"))
    assert (board.rows["two"].state, board.rows["two"].summary) == ("left", words_)


def test_finished_steps_are_told_once_and_in_their_order() -> None:
    board = Board(STEPS)
    board.event(_settled("two", "c"))
    assert board.news() == []
    for resource in ("a", "b"):
        board.event(_settled("one", resource))
    assert [row.title for row in board.news()] == ["First step", "Second step"]
    assert board.news() == []


def test_events_of_nobodys_step_change_nothing() -> None:
    board = Board(STEPS)
    board.event(_settled("three", "x"))
    board.event(Note("watching", "x"))
    assert [row.state for row in board.rows.values()] == ["pending", "pending"]


def test_down_waits_only_for_what_is_there() -> None:
    board = Board(STEPS)
    board.only({"a", "c"})
    board.event(_settled("one", "a"))
    assert [row.title for row in board.news()] == ["First step"]


# --- the screen, away from a terminal ------------------------------------------------------------


def test_progress_is_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.progress.steps(STEPS)
    screen.progress.event(Changing("one", "a", "create", "bucket x"))
    for step, resource in (("one", "a"), ("one", "b"), ("two", "c")):
        screen.progress.event(_settled(step, resource))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "0  First step           done: created bucket x",
        "1  Second step          unchanged",
    ]


def test_pictures_that_are_sent_one_by_one_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.progress.event(Sent("k/a.jpg", "a.jpg", "v1", replaced=False))
    screen.progress.event(Sent("k/b.jpg", "b.jpg", "v2", replaced=True))
    screen.progress.event(Refused("\x1b.jpg", "unsupported_format", "It is a GIF.", "Convert it."))
    assert capsys.readouterr().err.splitlines() == [
        "sent a.jpg as k/a.jpg",
        "sent b.jpg as k/b.jpg (a new version of it)",
        "refused \\x1b.jpg: It is a GIF. Convert it.",
    ]


def test_a_problem_is_at_most_three_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().problem("up", Problem("x", "Could not\ncreate \x1b[2Jit.", hint="Run it\nagain."))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["Error: Could not\\ncreate \\x1b[2Jit.", "Hint: Run it\\nagain."]


def test_in_json_a_problem_and_a_success_have_the_same_keys(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(json=True)
    screen.result("up", Result(data={"bucket": "b"}))
    success = json.loads(capsys.readouterr().out)
    screen.problem("up", Problem("x", "Bad.", hint="Mend.", exit_code=ExitCode.NOT_SET_UP))
    out, err = capsys.readouterr()
    problem = json.loads(out)
    assert err == ""
    assert list(success) == list(problem) == ["version", "command", "status", "data", "errors"]
    assert (success["status"], success["errors"]) == ("done", [])
    assert problem["status"] == "not_set_up"
    assert problem["errors"] == [{"code": "x", "message": "Bad.", "hint": "Mend."}]
