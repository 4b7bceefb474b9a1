"""Waiting for results, on a clock of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.pictures.waiting import Waiter, is_final
from tests.support.api_server import TOKEN, Answer, Clock, FakeApi, Request, failed, item


class Waiting:
    """A wait whose results are collected; steps happen one after the other between its looks."""

    def __init__(self, played: FakeApi, *steps: Any) -> None:
        self.clock = Clock()
        self.results: list[Any] = []
        self._played = played
        self._steps = list(steps)
        self.clock.each = self._step

    def _step(self) -> None:
        if self._steps:
            self._steps.pop(0)()

    def wait(
        self,
        versions: dict[str, str | None],
        timeout_s: float = 60.0,
        is_over: Callable[[str, str | None], bool] = lambda _key, _version: False,
    ) -> list[str]:
        waiter = Waiter(Api(self._played.url, TOKEN), sleep=self.clock.sleep, clock=self.clock)
        waiter.expect_all(versions)
        return waiter.wait(self.results.append, timeout_s=timeout_s, is_over=is_over)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one["objectKey"], one["versionId"]) for one in self.results]


def test_a_result_that_is_there_needs_no_pause(played: FakeApi) -> None:
    played.store(item("a", "v1"))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}) == []
    assert waiting.told == [("a", "v1")]
    assert waiting.clock.slept == []


def test_the_result_of_an_older_version_is_never_taken(played: FakeApi) -> None:
    played.store(item("a", "v1"))
    waiting = Waiting(played, lambda: None, lambda: played.store(item("a", "v2")))
    assert waiting.wait({"a": "v2"}) == []
    assert waiting.told == [("a", "v2")]


def test_what_was_replaced_is_not_waited_for_to_the_end(played: FakeApi) -> None:
    played.store(item("a", "v2"))
    waiting = Waiting(played)
    asked: list[str] = []

    def replaced(key: str, version: str | None) -> bool:
        assert version == "v1"
        asked.append(key)
        return key == "a" and waiting.clock.now > 12

    assert waiting.wait({"a": "v1", "b": "v1"}, 30, replaced) == ["b"]
    assert waiting.told == []
    # Now and then: each at most every five seconds, and one that is over not again.
    assert 2 <= asked.count("a") <= 4 and asked.count("b") <= 6


def test_nobody_is_asked_where_the_result_comes_soon(played: FakeApi) -> None:
    waiting = Waiting(played, lambda: played.store(item("a", "v1")))
    assert waiting.wait({"a": "v1"}, is_over=lambda _key, _version: pytest.fail("asked")) == []


def test_where_the_bucket_has_no_versions_any_result_counts(played: FakeApi) -> None:
    played.store(item("a", None))
    waiting = Waiting(played)
    assert waiting.wait({"a": None}) == []


def test_a_failure_that_is_tried_again_is_not_the_result(played: FakeApi) -> None:
    played.store(failed("a", retryable=True))
    waiting = Waiting(played, lambda: played.store(item("a")))
    assert waiting.wait({"a": "v1"}) == []
    assert [one["status"] for one in waiting.results] == ["done"]


def test_a_failure_for_good_is_the_result(played: FakeApi) -> None:
    played.store(failed("a", retryable=False))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}) == []
    assert [one["status"] for one in waiting.results] == ["failed"]


def test_what_has_no_result_when_time_is_up_is_named(played: FakeApi) -> None:
    played.store(item("b"))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1", "b": "v1", "c": "v1"}, timeout_s=10) == ["a", "c"]
    assert waiting.told == [("b", "v1")]
    assert waiting.clock.now == pytest.approx(10)


def test_with_no_time_at_all_it_still_looks_once(played: FakeApi) -> None:
    played.store(item("a"))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1", "b": "v1"}, timeout_s=0) == ["b"]
    assert waiting.told == [("a", "v1")]


def test_waiting_for_nothing_asks_nothing(played: FakeApi) -> None:
    assert Waiting(played).wait({}) == []
    assert played.asked == []


def test_it_asks_often_at_first_and_twice_a_second_later(played: FakeApi) -> None:
    waiting = Waiting(played)
    waiting.wait({"a": "v1"}, timeout_s=60)
    pauses = waiting.clock.slept[:-1]
    assert pauses == pytest.approx([0.2] * 25 + [0.5] * 109)
    assert len(played.asked) <= 2 * 60 + 3 * 5 + 1


def test_an_api_that_is_too_busy_is_asked_less_often(played: FakeApi) -> None:
    played.busy = lambda _request: True
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}, timeout_s=60) == ["a"]
    assert max(waiting.clock.slept) == pytest.approx(4.0)
    assert len(played.asked) < 25


def test_the_time_counts_from_the_last_result(played: FakeApi) -> None:
    """Many pictures take long together; one that does not come ends it all the same."""
    keys = [f"{number}.jpg" for number in range(30)]
    clock = Clock()
    told: list[Any] = []

    def each() -> None:
        there = min(int(clock.now // 5), 29)
        played.store(*(item(key) for key in keys[:there]))

    clock.each = each
    waiter = Waiter(Api(played.url, TOKEN), sleep=clock.sleep, clock=clock)
    waiter.expect_all(dict.fromkeys(keys, "v1"))
    assert waiter.wait(told.append, timeout_s=10) == ["29.jpg"]
    assert clock.now == pytest.approx(29 * 5 + 10, abs=1)


def test_pictures_are_waited_for_while_others_are_still_sent(played: FakeApi) -> None:
    """The time is up only after the last one was sent."""
    clock = Clock()
    told: list[Any] = []
    waiter = Waiter(Api(played.url, TOKEN), sleep=clock.sleep, clock=clock)
    waiter.expect("a", "v1")
    shown_at: dict[str, float] = {}

    def each() -> None:
        if clock.now > 1:
            played.store(item("a"))
        if clock.now > 100 and not shown_at.get("sent"):
            shown_at["sent"] = clock.now
            waiter.expect("b", "v1")
            waiter.close()

    def on_result(one: Any) -> None:
        told.append(one["objectKey"])
        shown_at[one["objectKey"]] = clock.now

    clock.each = each
    assert waiter.wait(on_result, timeout_s=10) == ["b"]
    assert told == ["a"]
    assert shown_at["a"] < 2
    assert clock.now == pytest.approx(shown_at["sent"] + 10, abs=1)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, {"message": "Too Many Requests"}),
        Answer(500, {"error": {"code": "internal", "message": "?"}}),
        Answer(503, {"message": "Service Unavailable"}),
        Answer(502, b"<html>Bad gateway</html>"),
        Answer(body=item("a"), drop=9),
        Answer(body=item("a"), drop=0),
    ],
)
def test_a_passing_fault_is_passed_over(played: FakeApi, answer: Answer) -> None:
    played.store(item("a"))
    played.instead = [answer, answer]
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}) == []
    assert waiting.told == [("a", "v1")]


def test_a_connection_that_is_closed_after_each_answer_is_opened_again(played: FakeApi) -> None:
    played.closing = True
    waiting = Waiting(played, lambda: None, lambda: played.store(item("a")))
    assert waiting.wait({"a": "v1"}) == []


def test_an_api_that_is_gone_ends_the_waiting(played: FakeApi) -> None:
    played.instead = [Answer(404, {"message": "Not Found"})] * 2
    with pytest.raises(ApiUnavailable):
        Waiting(played).wait({"a": "v1"})


def test_a_token_that_is_refused_ends_the_waiting(played: FakeApi) -> None:
    played.instead = [Answer(401, {"error": {"code": "unauthorized", "message": "No."}})]
    with pytest.raises(Problem) as caught:
        Waiting(played).wait({"a": "v1"})
    assert caught.value.code == "unauthorized"


# --- many ----------------------------------------------------------------------------------------


def _many(count: int) -> dict[str, str | None]:
    return {f"{number:03}.jpg": "v2" for number in range(count)}


def test_up_to_a_hundred_pictures_are_asked_for_in_one_request(played: FakeApi) -> None:
    versions = _many(100)
    played.store(*(item(key, version) for key, version in versions.items()))
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert [request.document for request in played.asked] == [{"keys": list(versions)}]


def test_many_pictures_are_looked_for_in_the_list(played: FakeApi) -> None:
    versions = _many(250)
    waiting = Waiting(played, lambda: played.store(*(item(key, "v2") for key in versions)))
    assert waiting.wait(versions) == []
    assert sorted(key for key, _ in waiting.told) == sorted(versions)
    assert {request.path for request in played.asked} == {"/prod/results"}
    assert len(played.asked) < 10


def test_in_the_list_an_older_version_counts_for_nothing(played: FakeApi) -> None:
    versions = _many(120)
    played.store(*(item(key, "v1") for key in versions))
    waiting = Waiting(played, lambda: played.store(*(item(key, "v2") for key in versions)))
    assert waiting.wait(versions) == []
    assert {version for _, version in waiting.told} == {"v2"}
    assert len(waiting.told) == 120


def test_an_empty_page_with_a_cursor_is_not_the_end(played: FakeApi) -> None:
    versions = _many(103)
    played.pages = {
        None: ([], "1"),
        "1": ([], "2"),
        "2": ([item(key, "v2") for key in versions], None),
    }.__getitem__
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    listed = [request for request in played.asked if request.document is None]
    assert [request.query.get("after") for request in listed] == [None, "1", "2"]


def test_results_that_have_been_there_for_long_are_asked_for_by_the_hundred(played: FakeApi) -> None:
    """One request after the other, although thousands of results are as new as the newest one."""
    versions: dict[str, str | None] = {f"{number:04}.jpg": "v2" for number in range(3000)}
    played.store(*(item(key, "v2") for key in versions))
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert len(waiting.told) == 3000
    assert len(played.asked) == 30
    assert waiting.clock.now < 1


def test_what_an_answer_has_no_room_for_is_asked_for_at_once(played: FakeApi) -> None:
    """Results of 400 kB each: twelve fill an answer."""
    versions = _many(300)
    played.store(*(item(key, "v2") for key in versions))
    played.room = 12
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert len(waiting.told) == 300
    assert len(played.asked) == 25
    assert waiting.clock.now < 5


def test_pages_that_stay_empty_end_a_look(played: FakeApi) -> None:
    versions = _many(103)
    played.pages = lambda _after: ([], "further")
    waiting = Waiting(played)
    assert len(waiting.wait(versions, timeout_s=30)) == 103
    assert len([request for request in played.asked if not request.query.get("after")]) > 5


def test_what_the_list_misses_is_found_by_key(played: FakeApi) -> None:
    versions = _many(150)
    played.store(*(item(key, "v2") for key in versions))
    played.pages = lambda _after: ([], None)
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert len(waiting.told) == 150


def test_a_result_is_told_once(played: FakeApi) -> None:
    versions = _many(130)
    keys = list(versions)
    steps = [lambda key=key: played.store(item(key, "v2")) for key in keys]
    waiting = Waiting(played, *steps)
    assert waiting.wait(versions) == []
    assert sorted(key for key, _ in waiting.told) == keys


@pytest.mark.parametrize(
    ("stored", "version", "final"),
    [
        (item("a", "v1"), "v1", True),
        (item("a", "v1"), "v2", False),
        (item("a", "v1"), None, True),
        (item("a", None), "v1", False),
        (failed("a", retryable=False), "v1", True),
        (failed("a", retryable=True), "v1", False),
        (failed("a", retryable=True, tries_left=1), "v1", False),
        (failed("a", retryable=True, tries_left=0), "v1", True),
    ],
)
def test_only_the_last_word_on_the_right_version_is_final(
    stored: Any, version: str | None, final: bool
) -> None:
    assert is_final(stored, version) is final


def test_a_page_that_fails_loses_none_of_those_before_it_nor_after(played: FakeApi) -> None:
    keys = [f"{number:03}.jpg" for number in range(350)]
    failures = iter([True, True])

    def store() -> None:
        played.store(*(item(key, at=f"2026-11-22T10:00:00.{key[:3]}Z") for key in keys))

    played.store(item("before.jpg", at="2026-11-22T09:00:00.000Z"))
    played.busy = lambda request: bool(request.query.get("after")) and next(failures, False)
    waiting = Waiting(played, store)
    assert waiting.wait(dict.fromkeys(keys, "v1")) == []
    assert len(waiting.told) == 350
    # By the list alone: nobody had to be asked for by key.
    assert waiting.clock.now < 10


# --- a pipeline that an older imgpipe has set up ---------------------------------------------------


def test_an_older_pipeline_is_asked_key_by_key(played: FakeApi) -> None:
    played.takes_keys = False
    played.store(item("a", "v1"))
    waiting = Waiting(played, lambda: played.store(item("b", "v1")))
    assert waiting.wait({"a": "v1", "b": "v1"}) == []
    # It is asked once whether it takes several.
    assert sum(request.document is not None for request in played.asked) == 1


def test_an_older_pipeline_with_many_is_asked_for_its_list(played: FakeApi) -> None:
    played.takes_keys = False
    versions = _many(60)
    waiting = Waiting(played, lambda: played.store(*(item(key, "v2") for key in versions)))
    assert waiting.wait(versions) == []
    assert len(played.asked) < 25


def test_stragglers_of_an_older_pipeline_are_asked_for_side_by_side(played: FakeApi) -> None:
    played.takes_keys = False
    keys = [f"{number}.jpg" for number in range(16)]
    played.store(*(item(key) for key in keys))
    played.pages = lambda _after: ([], None)
    together = threading.Barrier(8, timeout=60)

    def before(request: Request) -> None:
        if request.path.endswith("/result"):
            together.wait()

    played.before = before
    waiting = Waiting(played)
    assert waiting.wait(dict.fromkeys(keys, "v1")) == []
    assert sorted(key for key, _version in waiting.told) == sorted(keys)
    assert not together.broken


def test_one_straggler_that_cannot_be_read_hides_none_of_the_others(played: FakeApi) -> None:
    played.takes_keys = False
    keys = [f"{number}.jpg" for number in range(16)]
    played.store(*(item(key) for key in keys))
    played.pages = lambda _after: ([], None)
    played.busy = lambda request: request.query.get("key") == "3.jpg"
    waiting = Waiting(played)
    assert waiting.wait(dict.fromkeys(keys, "v1"), timeout_s=30) == ["3.jpg"]


def test_without_the_token_pictures_are_asked_for_by_key(played: FakeApi) -> None:
    keys = [f"{number}.jpg" for number in range(16)]
    played.store(*(item(key) for key in keys))
    clock = Clock()
    told: list[Any] = []
    waiter = Waiter(Api(played.url), sleep=clock.sleep, clock=clock)
    waiter.expect_all(dict.fromkeys(keys))
    assert waiter.wait(told.append, timeout_s=60) == []
    assert len(told) == len(keys)
    assert {request.path for request in played.asked} == {"/prod/result"}
