"""README and the pages beside it lead somewhere, show real outputs and name only what can be done today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import capture
from tests.docs.test_words import CODE, PAGES, ROOT

# Sphinx checks the links of docs/; these files are no part of the site.
OUTSIDE = [page for page in PAGES if page.parent == ROOT]
_LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
# The package is on no index.
_FROM_AN_INDEX = re.compile(r"\b(?:pip|pipx|uv tool|uv pip) install(?: -\S+)* ['\"]?imgpipe\b")
_PATH = re.compile(r"`((?:imgpipe_cli|lambda_src|tests|benchmarks|docs|examples)/[\w./-]*)`")
# The command that CONTRIBUTING adds as an example.
_EXAMPLE = "imgpipe_cli/commands/where.py"
_MOST_LINES = {"README.md": 200, "CONTRIBUTING.md": 120, "CHANGELOG.md": 40}


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_lead_to_a_page_and_its_heading(page: Path) -> None:
    links = list(_LINK.finditer(page.read_text(encoding="utf-8")))
    assert links or page.name == "CHANGELOG.md"
    for link in links:
        target = page.parent / link["path"]
        assert target.exists(), link[0]
        assert not link["anchor"] or link["anchor"] in anchors(target), link[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = set(_PATH.findall(page.read_text(encoding="utf-8"))) - {_EXAMPLE}
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_the_page_is_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= _MOST_LINES[page.name]


def test_nothing_tells_anyone_to_install_from_an_index() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in [*PAGES, *CODE, ROOT / "Makefile"]
        if (lines := _FROM_AN_INDEX.findall(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text", ["pip install imgpipe", "pipx install 'imgpipe[local]'", "pip install --force-reinstall imgpipe."]
)
def test_such_an_advice_is_found(text: str) -> None:
    assert _FROM_AN_INDEX.search(text)


def test_captured_outputs_are_there_and_have_their_commands() -> None:
    names = [name for page in capture.PAGES for name in capture.marked(page.read_text(encoding="utf-8"))]
    assert set(names) == set(capture.SCENES) - {"another-pipeline"}
    for page in capture.PAGES:
        assert "```text\n```" not in page.read_text(encoding="utf-8"), page


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("waits\r\x1b[2Kdone\r\n", "done"),
        ("a\r\nb\r\n\x1b[2A\x1b[2KA\r\n\x1b[2KB\r\n", "A\nB"),
        ("\x1b[?25l\x1b[0;32mgreen\x1b[0m  \r\n", "green"),
        ("at http://127.0.0.1:40447/prod\r\n", "at http://127.0.0.1:4599/prod"),
    ],
)
def test_an_output_is_what_stands_on_the_screen_at_the_end(output: str, shown: str) -> None:
    assert capture.rendered(output) == shown
