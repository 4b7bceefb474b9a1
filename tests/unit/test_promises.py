"""Every test that the documentation names for a guarantee is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
GUARANTEES = (ROOT / "docs" / "explanation" / "guarantees.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
# A function, a file, or a file or folder with its path.
_NAMED = re.compile(r"`(?P<name>(?:tests/[\w/]+(?:\.py)?)|(?:test_\w+(?:\.py)?))`")


def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))


def test_each_promise_names_its_test() -> None:
    promises = GUARANTEES.split("- [x] ")[1:]
    assert len(promises) > 60
    assert [promise for promise in promises if not (_NAMED.search(promise) or "`make " in promise)] == []


@pytest.mark.parametrize("name", sorted({found["name"] for found in _NAMED.finditer(TEXT)}))
def test_what_is_named_is_there(name: str) -> None:
    if name.startswith("tests/"):
        assert (ROOT / name).exists()
    elif name.endswith(".py"):
        assert list(TESTS.rglob(name))
    else:
        assert f"def {name}(" in sources()
