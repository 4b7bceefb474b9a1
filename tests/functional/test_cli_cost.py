"""`imgpipe cost` against a played API."""

from __future__ import annotations

import pytest

from tests.support.api_server import Answer, FakeApi
from tests.support.cli import Cli

MONTH = {
    "month": "2026-11",
    "pictures": 1000,
    "analyses": 1400,
    "analyzed": {"properties": 700, "labels": 700},
    "reused": {"labels": 300, "faces": 20},
    "limit": 2000,
    "left": 600,
}
UNLIMITED = {**MONTH, "limit": None, "left": None}


def test_it_shows_analyses_and_dollars_by_feature_and_what_is_left(cli: Cli, played: FakeApi) -> None:
    played.usage = Answer(body=MONTH)
    printed = cli("cost")
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["Feature", "Analyses", "Reused", "Dollars"] in rows
    assert ["labels", "700", "300", "$0.70"] in rows
    assert ["faces", "0", "20", "$0.00"] in rows
    assert ["properties", "700", "0", "$0.525"] in rows
    assert "2026-11: 1,000 pictures, 1,400 analyses, about $1.23." in printed.out
    assert "The monthly limit of 2,000 analyses leaves 600." in printed.out
    assert "list of October 2026" in printed.out


def test_json_has_the_same_in_numbers(cli: Cli, played: FakeApi) -> None:
    played.usage = Answer(body=UNLIMITED)
    assert cli("cost", "--json").document["data"] == {
        "month": "2026-11",
        "pictures": 1000,
        "analyses": 1400,
        "features": [
            {"feature": "labels", "analyses": 700, "reused": 300, "dollars": 0.7},
            {"feature": "faces", "analyses": 0, "reused": 20, "dollars": 0.0},
            {"feature": "properties", "analyses": 700, "reused": 0, "dollars": 0.525},
        ],
        "dollars": 1.225,
        "pricesOf": "October 2026",
        "limit": None,
        "left": None,
    }
    assert "limit" not in cli("cost").out


def test_a_month_without_pictures_has_no_table(cli: Cli, played: FakeApi) -> None:
    played.usage = Answer(body={**UNLIMITED, "pictures": 0, "analyses": 0, "analyzed": {}, "reused": {}})
    printed = cli("cost")
    assert "2026-11: 0 pictures, 0 analyses, about $0.00." in printed.out
    assert "Feature" not in printed.out


def test_an_older_pipeline_is_told_to_be_renewed(cli: Cli, played: FakeApi) -> None:
    printed = cli("cost")
    assert (printed.code, played.asked[-1].path) == (1, "/prod/usage")
    assert "Run imgpipe up" in printed.err


@pytest.mark.parametrize("text", ["\x1b[31m2026", "2026-11\n"])
def test_nothing_that_the_api_says_reaches_the_terminal_raw(cli: Cli, played: FakeApi, text: str) -> None:
    played.usage = Answer(body={**MONTH, "month": text})
    assert "\x1b[31m" not in cli("cost").out
