"""The generated pages of docs/reference say what the program and the API's description say today."""

from __future__ import annotations

import re

import pytest

from tests.docs import reference


@pytest.mark.parametrize("name", ["commands.md", "http-api.md"])
def test_the_page_follows_from_the_program(name: str) -> None:
    kept = (reference.PAGES / name).read_text(encoding="utf-8")
    assert kept == reference.pages()[name], "run make reference"


def test_the_readme_lists_every_command_with_its_options() -> None:
    readme = (reference.ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)[^`]*` \|(.*)$", readme, re.MULTILINE))
    page = (reference.PAGES / "commands.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^## imgpipe (\w+)$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL):
        options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
        assert [option for option in options if f"`{option}" not in rows[name]] == [], name
