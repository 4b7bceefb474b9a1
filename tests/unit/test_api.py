"""The client of the HTTP API, against a server that plays its contract."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from tests.support.api_server import TOKEN, Answer, FakeApi, item, serving

KEYS = [
    "photo.jpg",
    "with space.jpg",
    "a+b.jpg",
    "100%.jpg",
    "100%25.jpg",
    "tag#1.jpg",
    "a&b=c.jpg",
    "a,b;c.jpg",
    "who?.jpg",
    "ü/日本/😀.jpg",
    "a//b.jpg",
    "./../x.jpg",
    "quote\"'.jpg",
    "back\\slash.jpg",
    " lead and trail ",
    "tab\tline\n.jpg",
]


@pytest.fixture
def api(played: FakeApi) -> Api:
    return Api(played.url, TOKEN)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_arrives_as_it_is(played: FakeApi, api: Api, key: str) -> None:
    played.store(item(key))
    assert api.result(key) == item(key)
    assert played.asked[0].query == {"key": key}


def test_a_key_without_a_result_is_none(api: Api) -> None:
    assert api.result("nobody.jpg") is None


def test_the_token_is_a_bearer_and_no_token_is_no_header(played: FakeApi) -> None:
    Api(played.url, TOKEN).result("a")
    Api(played.url).result("a")
    sent = [request.headers.get("authorization") for request in played.asked]
    assert sent == [f"Bearer {TOKEN}", None]


def test_a_name_under_localhost_is_reached_on_loopback_by_its_host_header(played: FakeApi) -> None:
    port = urlsplit(played.url).port
    played.store(item("a"))
    assert Api(f"http://abc123.execute-api.localhost:{port}/prod/").result("a") == item("a")
    assert played.asked[0].headers["host"] == f"abc123.execute-api.localhost:{port}"
    assert played.asked[0].path == "/prod/result"


def test_a_wrong_token_is_a_problem_with_a_way_out(played: FakeApi) -> None:
    with pytest.raises(Problem) as caught:
        Api(played.url, "wrong").results()
    assert caught.value.code == "unauthorized"
    assert "imgpipe up" in caught.value.hint


def test_what_the_api_calls_wrong_usage_is_a_usage_error(played: FakeApi, api: Api) -> None:
    played.instead = [Answer(400, {"error": {"code": "missing_key", "message": "Name a key."}})]
    with pytest.raises(Problem) as caught:
        api.result("")
    assert (caught.value.code, caught.value.message) == ("missing_key", "Name a key.")
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(404, {"message": "Not Found"}), 404),  # the gateway: no such API or stage
        (Answer(403, {"message": "Forbidden"}), 403),
        (Answer(429, {"message": "Too Many Requests"}), 429),
        (Answer(500, {"error": {"code": "internal", "message": "?"}}), 500),
        (Answer(503, {"message": "Service Unavailable"}), 503),
        (Answer(200, b"<html>Sign in to the network</html>"), 200),
        (Answer(404, b""), 404),
        (Answer(404, ["not_found"]), 404),
        (Answer(404, {"error": "not_found"}), 404),
        (Answer(400, {"message": "Bad Request"}), 400),
    ],
)
def test_any_other_answer_is_not_taken_for_a_missing_result(
    played: FakeApi, api: Api, answer: Answer, status: int
) -> None:
    played.instead = [answer]
    with pytest.raises(ApiUnavailable) as caught:
        api.result("a")
    assert caught.value.status == status
    assert str(status) in str(caught.value)


@pytest.mark.parametrize("arrives", [0, 5])
def test_an_answer_that_breaks_off_is_no_answer(played: FakeApi, api: Api, arrives: int) -> None:
    played.instead = [Answer(body=item("a"), drop=arrives)]
    with pytest.raises(ApiUnavailable) as caught:
        api.result("a")
    assert caught.value.status == 0


def test_after_a_broken_answer_the_next_question_works(played: FakeApi, api: Api) -> None:
    played.store(item("a"))
    played.instead = [Answer(body=item("a"), drop=5)]
    with pytest.raises(ApiUnavailable):
        api.result("a")
    assert api.result("a") == item("a")


def test_nobody_there_is_no_answer() -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(ApiUnavailable) as caught:
        Api(url).result("a")
    assert caught.value.status == 0


def test_questions_share_one_connection(played: FakeApi, api: Api) -> None:
    for _ in range(3):
        api.result("a")
    assert played.connections == 1


def test_a_kept_connection_that_went_stale_is_opened_again(played: FakeApi, api: Api) -> None:
    played.store(item("a"))
    played.closing = True
    for _ in range(3):
        assert api.result("a") == item("a")
    assert played.connections == 3


def test_a_page_of_results_has_a_cursor_until_the_last(played: FakeApi, api: Api) -> None:
    played.store(*(item(f"{n}", at=f"2026-11-22T10:00:0{n}.000Z") for n in range(3)))
    first, cursor = api.results(limit=2)
    assert [one["objectKey"] for one in first] == ["2", "1"]
    rest, end = api.results(limit=2, after=cursor)
    assert [one["objectKey"] for one in rest] == ["0"]
    assert end is None


def test_several_keys_are_answered_by_key(played: FakeApi, api: Api) -> None:
    keys = [f"{n}.jpg" for n in range(40)]
    played.store(*(item(key) for key in keys[::2]))
    found = api.many(keys)
    assert list(found) == keys
    assert {key for key, one in found.items() if one is not None} == set(keys[::2])
    assert all(one in (None, item(key)) for key, one in found.items())
