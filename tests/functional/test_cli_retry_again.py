"""`imgpipe retry --again` on moto: finished pictures get what they lack, and nothing is paid twice."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from imgpipe_cli.session.settings import Settings
from tests.functional.test_cli_retry import CAT, Terminal, api, cli, lambda_
from tests.support.api_server import FakeApi
from tests.support.cli import NAMES, Cli
from tests.support.fake_lambda import FakeLambda

__all__ = ["api", "cli", "lambda_"]


@pytest.fixture
def finished(lambda_: FakeLambda, api: FakeApi) -> FakeLambda:
    """Two pictures that were analyzed for labels before the pipeline asked for faces, and one after."""
    for key in ("one.jpg", "two.jpg"):
        lambda_.run(lambda_.put(key, CAT))
    ask_for(lambda_, "labels", "faces")
    lambda_.run(lambda_.put("new.jpg", CAT))
    lambda_.rekognition.asked.clear()
    lambda_.rekognition.operations.clear()
    return lambda_


def ask_for(played: FakeLambda, *features: str) -> None:
    played.client("ssm").put_parameter(
        Name=NAMES.settings_parameter,
        Value=Settings(features=features, first_day="2026-01-01").to_json(),
        Overwrite=True,
    )
    played.features = features


def _pictures(document: dict[str, Any]) -> dict[str, tuple[bool, str, list[str]]]:
    return {one["key"]: (one["chosen"], one["state"], one["lacking"]) for one in document["data"]["pictures"]}


def test_a_finished_picture_names_what_it_lacks_and_the_way_to_it(cli: Cli, finished: FakeLambda) -> None:
    printed = cli("retry", "one.jpg")
    assert printed.code == 0
    assert "It lacks faces. To have that too: imgpipe retry one.jpg --again." in printed.out
    assert "1 picture: 1 done already." in printed.out
    assert finished.rekognition.asked == []


def test_only_what_is_missing_is_asked_and_the_rest_stays(cli: Cli, finished: FakeLambda) -> None:
    labels = finished.results()["one.jpg"]["labels"]
    printed = cli("retry", "one.jpg", "new.jpg", "--again", "--yes")
    assert printed.code == 0
    assert "2 pictures: 1 done already, 1 analyzed." in printed.out
    assert finished.rekognition.operations == [("faces", "one.jpg")]
    result = finished.results()["one.jpg"]
    assert (result["labels"], result["features"]) == (labels, ["labels", "faces"])
    assert "faces" in result
    again = cli("retry", "one.jpg", "--again", "--yes")
    assert "It lacks nothing that --again would ask for." in again.out
    assert len(finished.rekognition.operations) == 1


def test_it_asks_with_the_price_and_the_date_of_the_list(
    cli: Cli, finished: FakeLambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    printed = cli("retry", "one.jpg", "two.jpg", "--again")
    assert printed.code == 1
    assert (
        "Analyze 2 pictures again? Rekognition is asked at most 1 time, "
        "about $0.001 by its list price of October 2026: faces 1. "
        "imgpipe pays nothing for 1 copy among them. [y/N]" in " ".join(printed.err.split())
    )
    assert finished.rekognition.asked == []
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert cli("retry", "one.jpg", "two.jpg", "--again").code == 0
    assert sorted(finished.rekognition.asked) == ["one.jpg", "two.jpg"]


def test_nothing_is_paid_where_nobody_can_be_asked(cli: Cli, finished: FakeLambda) -> None:
    printed = cli("retry", "one.jpg", "--again", "--json")
    assert (printed.code, printed.error) == (2, "not_confirmed")
    assert finished.rekognition.asked == []


def test_the_dry_run_lists_what_would_be_asked(cli: Cli, finished: FakeLambda) -> None:
    printed = cli("retry", "one.jpg", "two.jpg", "new.jpg", "--again", "--dry-run")
    assert "finished, without faces:\n  one.jpg\n  two.jpg\n" in printed.out
    assert "imgpipe retry would analyze 2 pictures again." in printed.out
    document = cli("retry", "one.jpg", "new.jpg", "--again", "--dry-run", "--json").document
    assert _pictures(document) == {"one.jpg": (True, "done", ["faces"]), "new.jpg": (False, "done", [])}
    assert finished.rekognition.asked == []


def test_in_json_nothing_is_lacking_at_the_end(cli: Cli, finished: FakeLambda) -> None:
    document = cli("retry", "one.jpg", "--again", "--yes", "--json").document
    assert _pictures(document) == {"one.jpg": (True, "done", [])}


def test_what_it_has_stays_also_where_the_rest_fails(cli: Cli, finished: FakeLambda) -> None:
    before = finished.results()["one.jpg"]
    finished.rekognition.trouble = "ThrottlingException"
    printed = cli("retry", "one.jpg", "--again", "--yes")
    assert printed.code == 1
    result = finished.results()["one.jpg"]
    assert (result["status"], result["labels"]) == ("failed", before["labels"])
    finished.rekognition.trouble = ""
    assert cli("retry", "one.jpg", "--yes").code == 0
    assert finished.results()["one.jpg"]["status"] == "done"
    assert finished.rekognition.operations[-1] == ("faces", "one.jpg")


def test_a_failed_picture_is_retried_beside_it(cli: Cli, finished: FakeLambda) -> None:
    finished.give_up(finished.put("slow.jpg", CAT))
    printed = cli("retry", "one.jpg", "slow.jpg", "--again", "--yes")
    assert "2 pictures: 2 analyzed." in printed.out
    assert finished.waiting() == 0


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("--again",), "--again needs the keys of the pictures.", "imgpipe retry KEY... --again"),
        (("--again", "--all"), "Rekognition bills each feature of each picture.", "Name the pictures"),
        (("--again", "--missing"), "--again is about finished pictures", "two commands"),
        (("--again", "--reason", "throttled"), "--again is about finished pictures", "two commands"),
    ],
)
def test_on_aws_the_pictures_are_named(
    cli: Cli, finished: FakeLambda, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    printed = cli("retry", *arguments, "--yes", "--json")
    assert (printed.code, printed.error) == (2, "bad_usage")
    (error,) = printed.document["errors"]
    assert message in error["message"]
    assert hint in error["hint"]
    assert finished.rekognition.asked == []


def test_an_answer_that_got_lost_is_looked_for_and_not_bought_again(cli: Cli, finished: FakeLambda) -> None:
    def lost(_event: dict[str, Any]) -> None:
        raise ReadTimeoutError(endpoint_url="https://lambda.invalid")

    finished.after = lost
    printed = cli("retry", "one.jpg", "--again", "--yes", "--json")
    assert _pictures(printed.document) == {"one.jpg": (True, "done", [])}
    assert finished.rekognition.operations == [("faces", "one.jpg")]
