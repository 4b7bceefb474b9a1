"""One word per idea: docs, help and messages keep to docs/reference/glossary.md and to plain sentences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
CODE = sorted((ROOT / "imgpipe_cli").rglob("*.py")) + sorted((ROOT / "lambda_src").rglob("*.py"))
# A word that was replaced -> the word of today. Identifiers in code and in `code` keep their names.
REPLACED = {
    r"verdicts?": "result",
    r"converg\w+": "reconcile",
    r"strays?": "orphan",
    r"adoptable": "unclaimed",
    r"torn": "indeterminate",
    r"strangers?": "external access",
    r"overtaken": "conflict",
    r"(?:is|are|was|were|have it|have them) looked at|nothing to look at": "analyze",
    r"(?:is|are|was|were) told": "reports",
    r"taken in hand": "processed",
    r"plays": "emulates",
    r"moving (?:the )?results|moves? results": "migrate",
    r"put right|mend(?:s|ed|ing)?": "repair",
    r"not ours|is ours|are ours": "managed by imgpipe",
}
_OLD = {re.compile(rf"\b(?:{old})\b", re.IGNORECASE): new for old, new in REPLACED.items()}
# At the start of a text, a line, a list's entry or a table's cell, or behind a sentence's end.
_BEGIN = re.compile(r"(?:^[\s>#|*-]*|[.!?|] +)(?:What|Who|[Ww]hoever)\b(?!\?)", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_MOST_WORDS = 25
# Between paragraphs, entries of lists, and cells of tables; then between what a reader takes in by itself.
_PARTS = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*#>]|\d+\.)\s)|\||<!--|-->")
_SENTENCES = re.compile(r"(?<=[.!?:;])[)*]*\s+")
_WORD = re.compile(r"\S*\w\S*|`\.\.\.`")


def prose(page: Path) -> str:
    """The page without its code: outputs are messages, which are checked where they are made."""
    return _INLINE.sub("`...`", _FENCED.sub("", page.read_text(encoding="utf-8")))


def messages(source: str) -> Iterator[tuple[int, str]]:
    """The line and text of each string that the program may show: with several words, or what it counts.

    No docstrings.
    """
    tree = ast.parse(source)
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in notes and " " in str(node.value):
            yield node.lineno, str(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count":
            yield from (
                (word.lineno, str(word.value)) for word in node.args if isinstance(word, ast.Constant)
            )


def breaches(text: str) -> list[str]:
    found = [f"{match[0].strip()!r}: name the subject" for match in _BEGIN.finditer(text)]
    return found + [f"{match[0]!r}: say {new!r}" for old, new in _OLD.items() for match in old.finditer(text)]


def long_sentences(text: str) -> list[str]:
    """Those of more than 25 words. A colon and a semicolon end one, too; a piece of code is one word."""
    parts = _PARTS.split(_LINK.sub(r"\1", text))
    sentences = (" ".join(one.split()) for part in parts for one in _SENTENCES.split(part))
    return [one for one in sentences if len(_WORD.findall(one)) > _MOST_WORDS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_keeps_to_the_words(page: Path) -> None:
    assert breaches(prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_sentences_of_a_page_are_short(page: Path) -> None:
    assert long_sentences(prose(page)) == []


def test_a_long_sentence_is_found() -> None:
    long = " ".join(["word"] * 26)
    assert long_sentences(f"Short. {long}. Short.\n\n| a | {long} |\n- a\n- {long}") == [
        f"{long}.",
        long,
        f"- {long}",
    ]
    assert long_sentences(" ".join(["word"] * 20 + ["end: it"] + ["goes on"] * 12)) == []
    assert long_sentences("- one\n" * 30) == []


def test_help_and_messages_keep_to_the_words() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}": found
        for path in CODE
        for line, text in messages(path.read_text(encoding="utf-8"))
        if (found := breaches(text))
    }
    assert found == {}


def test_help_in_docstrings_keeps_to_the_words() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert breaches(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "What failed is listed.",
        "It ends. Who asks gets it.",
        "- Whoever looks",
        "| a | What it is |",
        "The Verdict is stored.",
        "Another run is told.",
        "The picture was looked at.",
        "whoever may do it",
    ],
)
def test_a_breach_is_found(text: str) -> None:
    assert len(breaches(text)) == 1


def test_a_word_that_is_counted_is_a_message_too() -> None:
    assert list(messages("show(f\"waiting for {count(left, 'verdict')}\")")) == [
        *[(1, "waiting for ")],
        (1, "verdict"),
    ]


def test_the_page_and_the_api_keep_to_the_words() -> None:
    texts = [*(ROOT / "lambda_src").rglob("*.html"), ROOT / "lambda_src" / "openapi.yaml"]
    assert {text.name: breaches(text.read_text(encoding="utf-8")) for text in texts} == {
        text.name: [] for text in texts
    }


@pytest.mark.parametrize("text", ["Results tell what was found.", "imgpipe shows who asked.", "What?"])
def test_other_sentences_may_hold_these_words(text: str) -> None:
    assert breaches(text) == []
