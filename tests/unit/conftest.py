"""The fixture that the tests of the API's readers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api_server import PlayedApi, serving


@pytest.fixture
def played() -> Iterator[PlayedApi]:
    """The pipeline's API, with what is stored into it."""
    with serving() as api:
        yield api
