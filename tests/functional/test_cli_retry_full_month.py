"""`imgpipe retry` on moto where the monthly limit leaves too little."""

from __future__ import annotations

import pytest

from ingest.faults import over_limit
from tests.functional.test_cli_retry import CAT, api, cli, failed, lambda_
from tests.functional.test_cli_retry_again import ask_for
from tests.support.api_server import Answer, FakeApi
from tests.support.cli import Cli
from tests.support.fake_lambda import FakeLambda
from tests.support.index_table import EverythingPermitted

__all__ = ["api", "cli", "failed", "lambda_"]


@pytest.fixture
def full(lambda_: FakeLambda, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> EverythingPermitted:
    """A month without room, and two pictures that failed for it."""
    permits = EverythingPermitted(refused=over_limit(100))
    monkeypatch.setattr("tests.support.fake_lambda.EverythingPermitted", lambda: permits)
    for number in range(2):
        lambda_.run(lambda_.put(f"late{number}.jpg", CAT + b"%d" % number))
    assert {one["error"]["code"] for one in lambda_.results().values()} == {"over_limit"}
    lambda_.events.clear()
    api.usage = _usage(left=0)
    return permits


def _usage(*, left: int) -> Answer:
    counters = {"pictures": 100, "analyses": 100 - left, "analyzed": {"labels": 100 - left}, "reused": {}}
    return Answer(body={"month": "2026-11", **counters, "limit": 100, "left": left})


FULL = "The monthly limit of 100 analyses leaves 0. 2 pictures need an analysis."


@pytest.mark.parametrize("chosen", [(), ("--all",), ("--reason", "over_limit"), ("late0.jpg", "late1.jpg")])
def test_a_full_month_calls_nothing_and_names_the_ways_out(
    cli: Cli, lambda_: FakeLambda, full: EverythingPermitted, chosen: tuple[str, ...]
) -> None:
    dry = cli("retry", *chosen, "--dry-run")
    words = " ".join(dry.out.split())
    assert dry.code == 0
    assert f"would analyze 0 pictures again. {FULL} Raise it with imgpipe up --monthly-limit N" in words
    assert ("no use" in words, "may help" in words) == (True, False)
    printed = cli("retry", *chosen, "--yes")
    assert (printed.code, lambda_.events) == (1, [])
    assert FULL in printed.err
    assert "imgpipe up --monthly-limit N, or run imgpipe retry next month" in printed.err
    assert printed.out.endswith("No picture was analyzed again.\n")
    in_json = cli("retry", *chosen, "--yes", "--json")
    assert (in_json.error, in_json.document["data"]["left"], lambda_.events) == ("over_limit", 0, [])


def test_others_are_analyzed_again_in_a_full_month(
    cli: Cli, lambda_: FakeLambda, full: EverythingPermitted
) -> None:
    full.refused = None
    lambda_.give_up(lambda_.put("slow.jpg", CAT))
    assert FULL in cli("retry", "--yes").err
    assert lambda_.rekognition.asked == ["slow.jpg"]


@pytest.mark.parametrize("told", [True, False], ids=["told what is left", "not told"])
def test_what_was_over_the_limit_is_taken_once_there_is_room(
    cli: Cli, lambda_: FakeLambda, api: FakeApi, full: EverythingPermitted, told: bool
) -> None:
    full.refused = None
    api.usage = _usage(left=1) if told else None
    for arguments in (("--dry-run",), ("--yes",)):
        printed = cli("retry", *arguments)
        assert printed.code == 0
        assert ("limit of 100 analyses leaves 1." in " ".join((printed.out + printed.err).split())) == told
    assert sorted(lambda_.rekognition.asked) == ["late0.jpg", "late1.jpg"]


def test_a_month_that_is_full_in_between_leaves_finished_pictures_as_they_are(
    cli: Cli, lambda_: FakeLambda, api: FakeApi, full: EverythingPermitted
) -> None:
    refused, full.refused = full.refused, None
    keys = ["late0.jpg", "late1.jpg"]
    api.usage = _usage(left=2)
    cli("retry", *keys, "--yes")
    before = lambda_.results()
    ask_for(lambda_, "labels", "faces")
    api.usage = _usage(left=1)

    def is_full_now(_event: object) -> None:
        full.refused = refused

    lambda_.after = is_full_now
    printed = cli("retry", *keys, "--again", "--yes")
    assert printed.code == 1
    assert "2 pictures: 1 analyzed, 1 not asked again (monthly limit)." in printed.out
    assert "It keeps its result. The monthly limit leaves no analysis for what it lacks." in " ".join(
        printed.out.split()
    )
    after = lambda_.results()
    assert [one["status"] for one in after.values()] == ["done", "done"]
    (left,) = [key for key in keys if after[key] == before[key]]
    in_json = cli("retry", left, "--again", "--yes", "--json")
    assert (in_json.code, in_json.error) == (1, "over_limit")
    (error,) = in_json.document["errors"]
    assert error["message"].startswith(f"{left}: It keeps its result.")
    assert "imgpipe up --monthly-limit N" in error["hint"]
    (shown,) = in_json.document["data"]["pictures"]
    assert (shown["state"], shown["lacking"]) == ("done", ["faces"])


def test_a_finished_picture_stays_so_in_a_full_month(
    cli: Cli, lambda_: FakeLambda, api: FakeApi, full: EverythingPermitted
) -> None:
    full.refused = None
    api.usage = _usage(left=1)
    assert cli("retry", "late0.jpg", "--yes").code == 0
    ask_for(lambda_, "labels", "faces")
    lambda_.events.clear()
    api.usage = _usage(left=0)
    printed = cli("retry", "late0.jpg", "--again", "--yes")
    assert (printed.code, lambda_.events) == (1, [])
    assert "leaves 0. 1 picture needs an analysis." in " ".join(printed.err.split())
    api.usage = _usage(left=1)
    printed = cli("retry", "late0.jpg", "--again", "--yes")
    assert "limit of 100 analyses leaves 1." in " ".join((printed.out + printed.err).split())
    assert len(lambda_.events) == 1


def test_what_is_left_of_the_month_is_not_asked_without_need(
    cli: Cli, failed: FakeLambda, api: FakeApi
) -> None:
    assert cli("retry", "--yes", "--json").document["data"]["left"] is None
    assert not [one for one in api.asked if one.path.endswith("/usage")]
