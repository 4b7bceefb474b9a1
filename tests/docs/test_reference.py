"""The generated pages of docs/reference say what the program and the API's description say today."""

from __future__ import annotations

import pytest

from tests.docs import reference


@pytest.mark.parametrize("name", ["commands.md", "http-api.md"])
def test_the_page_follows_from_the_program(name: str) -> None:
    kept = (reference.PAGES / name).read_text(encoding="utf-8")
    assert kept == reference.pages()[name], "run make reference"
