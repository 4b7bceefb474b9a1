"""`imgpipe find` and `imgpipe labels` against a played API."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from imgpipe_cli.session.settings import Settings
from tests.support.api_server import Answer, FakeApi, Request, item
from tests.support.cli import NAMES, REGION, Cli

ITEMS = [item(f"{number:03}.jpg") for number in range(250)]


def finds(played: FakeApi, **index: Any) -> None:
    """250 pictures, page by page."""

    def found(request: Request) -> Answer:
        start, limit = int(request.query.get("after", "0")), int(request.query["limit"])
        end = start + limit
        following = str(end) if end < len(ITEMS) else None
        body = {"items": ITEMS[start:end], "next": following, "index": index or {"complete": True}}
        return Answer(body=body)

    played.found = found


def test_it_asks_for_all_that_is_named(cli: Cli, played: FakeApi) -> None:
    finds(played)
    options = ("--any", "--text", "happy day", "--name", "sea", "--prefix", "p/", "--min-confidence", "80.5")
    printed = cli("find", "Cat", "Cell Phone", *options)
    assert printed.code == 0
    assert played.asked[-1].every == {
        "label": ["Cat", "Cell Phone"],
        "any": ["true"],
        "text": ["happy day"],
        "name": ["sea"],
        "prefix": ["p/"],
        "min_confidence": ["80.5"],
        "limit": ["20"],
    }


def test_the_best_are_shown_and_where_to_go_on(cli: Cli, played: FakeApi) -> None:
    finds(played)
    printed = cli("find", "cat", "--limit", "150")
    assert printed.out.count(".jpg") == 150
    assert printed.err.endswith("To go on from here: --after 150\n")
    assert [request.query["limit"] for request in played.asked] == ["100", "50"]
    assert "230.jpg" in cli("find", "cat", "--after", "230").out
    assert "To go on from here: --after 150\n" in cli("find", "cat", "--limit", "150", "--json").err


@pytest.mark.parametrize(("limit", "requests"), [("0", 3), ("100", 1), ("20", 1)])
def test_requests_are_few(cli: Cli, played: FakeApi, limit: str, requests: int) -> None:
    finds(played)
    lines = cli("find", "cat", "--limit", limit, "--json").lines
    assert [line["objectKey"] for line in lines] == [one["objectKey"] for one in ITEMS[: int(limit) or 250]]
    assert len(played.asked) == requests


def test_it_says_how_far_the_index_is(cli: Cli, played: FakeApi) -> None:
    finds(played, complete=False, filled=120, of=5000)
    assert "The index has 120 of 5000 results" in cli("find", "cat").err
    finds(played, complete=False, filled=0, of=None)
    assert "The index does not have all results yet: run imgpipe up" in cli("find", "cat").err


def test_an_older_pipeline_is_told_to_be_renewed(cli: Cli, played: FakeApi) -> None:
    """It gives all results to whatever it does not know."""
    played.store(*ITEMS[:3])
    for command in (("find", "cat"), ("labels",)):
        printed = cli(*command)
        assert (printed.code, printed.out) == (1, "")
        assert "Run imgpipe up" in printed.err


def test_nothing_found_says_so(cli: Cli, played: FakeApi) -> None:
    played.found = lambda _request: Answer(body={"items": [], "next": None, "index": {"complete": True}})
    printed = cli("find", "zebra")
    assert (printed.code, printed.out) == (0, "")
    assert "No result matches with at least 70 %. imgpipe labels lists" in printed.err
    assert "No result matches. imgpipe labels lists" in cli("find", "zebra", "--min-confidence", "50").err
    assert printed.err.endswith("--min-confidence shows less sure ones.\n")
    assert "No result matches.\n" in cli("find", "--name", "zebra").err


@pytest.mark.parametrize(
    ("features", "arguments", "told"),
    [
        (("labels",), ("--text", "cat"), "look for text. To add that: imgpipe up --features labels,text."),
        (("faces",), ("cat", "--json"), "look for labels. To add that: imgpipe up --features labels,faces."),
        (("faces",), ("cat", "--text", "x"), "look for labels and text. To add that: "),
        (("labels", "text"), ("cat", "--text", "x"), ""),
        (("faces",), ("--name", "cat"), ""),
    ],
)
def test_nothing_found_says_what_the_pipeline_does_not_look_for(
    cli: Cli, played: FakeApi, account: None, features: tuple[str, ...], arguments: tuple[str, ...], told: str
) -> None:
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name=NAMES.settings_parameter,
        Type="String",
        Value=Settings(features=features, first_day="2026-01-01").to_json(),
        Tags=NAMES.tag_list,  # type: ignore[arg-type]
    )
    played.found = lambda _request: Answer(body={"items": [], "next": None, "index": {"complete": True}})
    printed = cli("find", *arguments)
    assert (printed.code, printed.out) == (0, "")
    assert told in printed.err
    assert ("does not look for" in printed.err) == bool(told)
    assert len(played.asked) == 1


@pytest.mark.parametrize(
    "arguments", [(), ("--any",), ("cat", "--after", "/"), ("",), ("cat", " "), tuple("abcdefghijk")]
)
def test_wrong_usage_asks_nothing(cli: Cli, played: FakeApi, arguments: tuple[str, ...]) -> None:
    assert cli("find", *arguments).code == 2
    assert not played.asked


def test_what_the_api_refuses_is_wrong_usage(cli: Cli, played: FakeApi) -> None:
    refusal = {"error": {"code": "invalid_text", "message": "text has 1 to 10 words of letters or digits."}}
    played.found = lambda _request: Answer(400, refusal)
    printed = cli("find", "--text", "!!")
    assert printed.code == 2
    assert "text has 1 to 10 words" in printed.err


def test_a_search_that_is_cut_short_shows_what_came(
    cli: Cli, played: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgpipe_cli.pictures.api._PAUSES_S", ())
    finds(played)
    played.busy = lambda request: request.query.get("after") == "100"
    printed = cli("find", "cat", "--limit", "0")
    assert printed.code == 1
    assert printed.out.count(".jpg") == 100
    assert "--after 100" in printed.err


# --- labels ----------------------------------------------------------------------------------------


def test_labels_of_all_pages_are_shown_the_most_frequent_first(cli: Cli, played: FakeApi) -> None:
    pages = [
        Answer(body={"items": [{"name": "Cat", "count": 3}], "next": "b"}),
        Answer(body={"items": [{"name": "Dog", "count": 7312, "more": True}], "next": None}),
    ]
    played.labels = [*pages, *pages]
    printed = cli("labels", "--prefix", "x", "--min-confidence", "80")
    rows = [line.split() for line in printed.out.splitlines()]
    assert rows.index(["Dog", "7,312+"]) < rows.index(["Cat", "3"])
    assert played.asked[0].query == {"prefix": "x", "min_confidence": "80"}
    assert played.asked[1].query["after"] == "b"
    names = [one["name"] for one in cli("labels", "--json").document["data"]["labels"]]
    assert names == ["Dog", "Cat"]


def test_no_labels_say_so(cli: Cli, played: FakeApi) -> None:
    played.labels = [Answer(body={"items": [], "next": None})]
    assert "No picture has a label yet." in cli("labels").err


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--prefix", "holiday/"), "No label that begins with holiday/ is at least 70 % sure."),
        (("--min-confidence", "99"), "No label is at least 99 % sure."),
    ],
)
def test_no_labels_of_some_pictures_is_not_no_labels_at_all(
    cli: Cli, played: FakeApi, asked: tuple[str, str], words: str
) -> None:
    """The prefix is one of labels: who gives that of keys sees why nothing is found."""
    played.labels = [Answer(body={"items": [], "next": None})]
    told = cli("labels", *asked).err
    assert words in told
    assert "yet" not in told


def test_a_label_reaches_no_terminal_raw(cli: Cli, played: FakeApi) -> None:
    played.labels = [Answer(body={"items": [{"name": "\x1b[31mCat", "count": 1}], "next": None})]
    assert "\x1b[31m" not in cli("labels").out
