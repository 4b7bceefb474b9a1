"""`imgpipe list` against a played API: what it asks for, and what it does when there is no answer."""

from __future__ import annotations

import pytest

from tests.support.api_server import Answer, FakeApi, failed, item
from tests.support.cli import Cli


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgpipe_cli.pictures.api._PAUSES_S", (0.0,) * 4)


def store(played: FakeApi, count: int) -> None:
    played.store(
        *(item(f"{n:03}.jpg", at=f"2026-11-22T10:{n // 60:02}:{n % 60:02}.000Z") for n in range(count))
    )


def test_only_what_is_shown_is_asked_for(cli: Cli, played: FakeApi) -> None:
    store(played, 30)
    printed = cli("list", "--limit", "5", "--json")
    assert [one["objectKey"] for one in printed.lines] == [f"{n:03}.jpg" for n in (29, 28, 27, 26, 25)]
    assert [(one.path, dict(one.query)) for one in played.asked] == [("/prod/results", {"limit": "5"})]


def test_everything_is_asked_for_page_by_page(cli: Cli, played: FakeApi) -> None:
    store(played, 250)
    assert len(cli("list", "--limit", "0", "--json").lines) == 250
    assert [one.query.get("after") for one in played.asked] == [None, "100", "200"]


@pytest.mark.parametrize("options", [(), ("--json",), ("--status", "done"), ("--since", "2026-11-22")])
def test_a_list_that_ended_at_its_limit_says_where_to_go_on(
    cli: Cli, played: FakeApi, options: tuple[str, ...]
) -> None:
    """As find does. The last page ends with the last result that is shown."""
    store(played, 250)
    told = cli("list", "--limit", "150", *options).err
    assert "To go on from here: --after 150\n" in told
    assert [one.query["limit"] for one in played.asked] == ["100", "50"]
    assert "To go on from here: --after 20\n" in cli("list", *options).err
    assert "--after" not in cli("list", "--limit", "250", *options).err
    rest = cli("list", "--limit", "0", "--json", "--after", "150").lines
    assert rest[0]["objectKey"] == "099.jpg"


def test_where_the_api_gives_others_too_whole_pages_are_asked_for_and_have_no_cursor(
    cli: Cli, played: FakeApi
) -> None:
    """Each 40th picture has the label, and the played API gives all."""
    store(played, 250)
    for number in range(0, 250, 40):
        key = f"{number:03}.jpg"
        played.store({**played.stored[key], "labels": [{"Name": "Cat", "Confidence": 99.0}]})
    printed = cli("list", "--label", "cat", "--limit", "4")
    assert printed.out.count(".jpg") == 4
    assert [one.query["limit"] for one in played.asked] == ["4", "100", "100"]
    assert "The newest 4; --limit shows more (0: all)." in printed.err


def test_the_reason_of_a_failure_is_shown_safely(cli: Cli, played: FakeApi) -> None:
    played.store(failed("a\x1b[2J.jpg", retryable=False))
    printed = cli("list")
    assert "Too busy." in printed.out
    assert "\x1b" not in printed.out
    assert printed.code == 0


def test_results_without_the_label_are_left_out_by_the_pipeline_or_here(cli: Cli, played: FakeApi) -> None:
    """The played API gives all, as one does that is older than the question."""
    cat, sure = {"Name": "Cat", "Confidence": 71.0}, ("--min-confidence", "71")
    played.store(item("cat.jpg", labels=[cat]), item("pet.jpg", labels=[{**cat, "Name": "Pet"}]))
    assert [one["objectKey"] for one in cli("list", "--label", "cat", *sure, "--json").lines] == ["cat.jpg"]
    assert cli("list", "--label", " ", "--json").lines == []
    asked = [dict(one.query) for one in played.asked]
    assert asked == [{"limit": "20", "with_label": "cat", "min_confidence": "71.0"}, {"limit": "20"}]


def test_json_is_whole_unless_it_is_filtered(cli: Cli, played: FakeApi) -> None:
    played.store(item("a", labels=[{"Name": "Cat", "Confidence": 60.0}]))
    assert len(cli("list", "--json").lines[0]["labels"]) == 1
    assert cli("list", "--json", "--min-confidence", "70").lines[0]["labels"] == []


def test_an_empty_pipeline_says_so_and_a_filter_that_finds_nothing_says_that(
    cli: Cli, played: FakeApi
) -> None:
    assert "There are no results yet" in cli("list").err
    store(played, 1)
    assert "No result matches." in cli("list", "--since", "2026-11-23").err
    assert "No result matches." in cli("list", "--label", "cat").err


@pytest.mark.parametrize("options", [("--limit", "-1"), ("--status", "late"), ("--since", "soon")])
def test_wrong_usage_asks_nothing(cli: Cli, played: FakeApi, options: tuple[str, ...]) -> None:
    assert cli("list", *options).code == 2
    assert played.asked == []


def test_an_api_that_breaks_off_on_the_way_is_an_error_after_what_was_shown(
    cli: Cli, played: FakeApi, no_pauses: None
) -> None:
    store(played, 150)
    played.before = lambda request: (
        played.instead.append(Answer(500, {"message": "no"})) if request.query.get("after") else None
    )
    printed = cli("list", "--limit", "0", "--json")
    assert printed.code == 1
    assert len(printed.out.splitlines()) >= 100


@pytest.mark.parametrize(
    "trouble", [Answer(429, {"message": "Too Many Requests"}), Answer(503, b""), Answer(body=["cut"], drop=5)]
)
@pytest.mark.parametrize("page", [0, 1])
def test_a_page_is_asked_for_again_when_the_fault_passes(
    cli: Cli, played: FakeApi, no_pauses: None, trouble: Answer, page: int
) -> None:
    store(played, 150)
    troubles = [trouble]
    played.before = lambda request: (
        played.instead.append(troubles.pop())
        if troubles and bool(request.query.get("after")) == bool(page)
        else None
    )
    printed = cli("list", "--limit", "0", "--json")
    assert (printed.code, len(printed.lines)) == (0, 150)


def test_what_was_read_before_the_token_was_replaced_is_shown(cli: Cli, played: FakeApi) -> None:
    store(played, 150)
    played.before = lambda request: (
        played.instead.append(Answer(401, {"error": {"code": "unauthorized", "message": "no"}}))
        if request.query.get("after")
        else None
    )
    printed = cli("list", "--limit", "0")
    assert printed.code == 1
    assert "149.jpg" in printed.out
    assert "does not accept the access token" in printed.err
    assert "--after 100" in printed.err


def test_a_list_that_is_cut_short_says_where_to_go_on(cli: Cli, played: FakeApi, no_pauses: None) -> None:
    store(played, 250)
    played.busy = lambda request: request.query.get("after") == "200"
    printed = cli("list", "--limit", "0")
    assert printed.code == 1
    assert "249.jpg" in printed.out
    assert "050.jpg" in printed.out
    assert "The list ends here before its end" in printed.err
    assert "--after 200" in printed.err
    played.busy = lambda _request: False
    rest = cli("list", "--limit", "0", "--json", "--after", "200")
    assert [one["objectKey"] for one in rest.lines] == [f"{n:03}.jpg" for n in range(49, -1, -1)]


def test_in_json_the_cursor_stands_in_the_error(cli: Cli, played: FakeApi, no_pauses: None) -> None:
    store(played, 150)
    played.busy = lambda request: bool(request.query.get("after"))
    printed = cli("list", "--limit", "0", "--json")
    assert printed.code == 1
    *items, error = printed.lines
    assert len(items) == 100
    assert error["errors"][0]["code"] == "list_cut_short"
    assert "--after 100" in error["errors"][0]["hint"]


@pytest.mark.parametrize("cursor", ["", "a b", "é", "=="])
def test_what_is_no_cursor_asks_nothing(cli: Cli, played: FakeApi, cursor: str) -> None:
    assert cli("list", "--after", cursor).code == 2
    assert played.asked == []


def test_a_cursor_that_the_api_does_not_know_is_wrong_usage(cli: Cli, played: FakeApi) -> None:
    played.instead = [Answer(400, {"error": {"code": "invalid_cursor", "message": "no"}})]
    printed = cli("list", "--after", "WyJ", "--json")
    assert printed.code == 2
    assert "cursor" in printed.out


@pytest.mark.parametrize("document", [None, [], "text", {}, {"items": 3}])
def test_an_answer_of_another_kind_is_none(cli: Cli, played: FakeApi, document: object) -> None:
    played.before = lambda _request: played.instead.append(Answer(body=document))
    assert "unexpected" not in cli("list").err
