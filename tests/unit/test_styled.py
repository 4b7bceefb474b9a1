"""Styled text: broken between words, each part in its own style, at the width that letters really take."""

from __future__ import annotations

import pytest

from imgpipe_cli.render.columns import Column, Columns
from imgpipe_cli.render.styled import Labeled, Stack, Text


def _plain(drawn: Text | Labeled | Stack | Columns, columns: int) -> list[str]:
    return [line.shown(colored=False) for line in drawn.lines(columns)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("one\n\ntwo three", ["one", "", "two", "three"]),
        ("a\n", ["a", ""]),
        ("abcdefghijklmnop", ["abcdefgh", "ijklmnop"]),
        ("a abcdefghijk", ["a", "abcdefgh", "ijk"]),
        ("写真の名前です", ["写真の名", "前です"]),  # two columns each
        ("写真の名前", ["写真の名", "前"]),
        ("e\u0301e\u0301e\u0301e\u0301 e\u0301e\u0301e\u0301", ["e\u0301" * 4 + " " + "e\u0301" * 3]),
    ],
)
def test_a_text_is_broken_between_words_and_a_longer_word_where_the_line_ends(
    text: str, lines: list[str]
) -> None:
    assert _plain(Text(text), 8) == lines
    assert all(Text(line).width <= 8 for line in lines)


def test_in_a_column_of_one_letter_nothing_is_lost() -> None:
    assert _plain(Text("ab 写c"), 1) == ["a", "b", "写", "c"]


def test_what_is_unbroken_is_one_line_however_long() -> None:
    assert _plain(Text("a long key.jpg").unbroken(), 3) == ["a long key.jpg"]


def test_each_part_keeps_its_style_also_across_lines() -> None:
    text = Text("one two", "red") + Text(" three", "bold green")
    assert [line.shown(colored=True) for line in text.lines(7)] == [
        "\x1b[31mone two\x1b[0m",
        "\x1b[1;32mthree\x1b[0m",
    ]
    assert [line.shown(colored=True) for line in text.lines(3)] == [
        "\x1b[31mone\x1b[0m",
        "\x1b[31mtwo\x1b[0m",
        "\x1b[1;32mthr\x1b[0m",
        "\x1b[1;32mee\x1b[0m",
    ]


@pytest.mark.parametrize(
    ("term", "colorterm", "shown"),
    [
        ("xterm", "truecolor", "\x1b[38;2;255;0;128mx\x1b[0m"),
        ("xterm-256color", "", "\x1b[38;5;199mx\x1b[0m"),
        ("xterm", "", "x"),
    ],
)
def test_a_color_of_the_picture_is_shown_as_well_as_the_terminal_can(
    monkeypatch: pytest.MonkeyPatch, term: str, colorterm: str, shown: str
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLORTERM", colorterm)
    assert Text("x", "rgb(255,0,128)").shown(colored=True) == shown


def test_a_style_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        Text("x", "loud").shown(colored=True)


def test_labels_stand_in_a_column_of_their_own() -> None:
    rows = Labeled((Text("failed"), Text("It is no picture.")), (Text("hint"), Text("Send one.")))
    assert _plain(Stack(Text("a.jpg"), rows), 22) == [
        "a.jpg",
        "  failed  It is no",
        "          picture.",
        "  hint    Send one.",
    ]


def test_numbers_stand_on_the_right_and_cells_on_several_lines_beside_each_other() -> None:
    table = Columns(Column("Name"), Column("Pictures", right=True), Column("Why", least=4))
    table.add_row(Text("a"), Text("1,000"), Text("No room left."))
    table.add_row(Text("写真"), Text("2"), Text(""))
    assert _plain(table, 28) == [
        "",
        " Name   Pictures   Why",
        " ──────────────────────────",
        " a         1,000   No room",
        "                   left.",
        " 写真          2",
        "",
    ]
