"""Styled text: broken between words, each part in its own style, at the width that letters really take."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from imgpipe_cli.render.columns import Column, Columns
from imgpipe_cli.render.rich_drawing import renderable
from imgpipe_cli.render.styled import Drawn, Labeled, Stack, Text


def _plain(drawn: Drawn, columns: int) -> list[str]:
    """The lines away from a terminal, which are those that Rich draws on one."""
    lines = [line.plain.rstrip(" ") for line in drawn.lines(columns)]
    assert _on_terminal(drawn, columns) == lines
    return lines


def _on_terminal(drawn: Drawn, columns: int, **options: Any) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=columns, highlight=False, **{"color_system": None, **options})
    console.print(renderable(drawn, columns), crop=False)
    return [line.rstrip(" ") for line in stream.getvalue().removesuffix("\n").split("\n")]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("one\n\ntwo three", ["one", "", "two", "three"]),
        ("a\n", ["a", ""]),
        ("abcdefghijklmnop", ["abcdefgh", "ijklmnop"]),
        ("Cat, 96 %; 1", ["Cat,", "96 %; 1"]),  # a number keeps its sign
        ("Cats 96 %, 1", ["Cats", "96 %, 1"]),
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
    assert [line.plain for line in Text("ab 写c").lines(1)] == ["a", "b", "写", "c"]


def test_what_is_unbroken_is_one_line_however_long() -> None:
    assert _plain(Stack(Text("a long key.jpg").unbroken()), 3) == ["a long key.jpg"]


def test_each_part_keeps_its_style_also_across_lines() -> None:
    text = Text("one two", "red") + Text(" three", "bold green")
    assert _on_terminal(text, 7, color_system="standard", force_terminal=True) == [
        "\x1b[31mone two\x1b[0m",
        "\x1b[1;32mthree\x1b[0m",
    ]


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
