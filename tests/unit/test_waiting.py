"""Waiting for verdicts, on a clock of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.pictures.waiting import Waiter, is_final
from tests.support.api_server import TOKEN, Answer, Clock, PlayedApi, Request, failed, item


class Waiting:
    """A wait whose verdicts are collected; steps happen one after the other between its looks."""

    def __init__(self, played: PlayedApi, *steps: Any) -> None:
        self.clock = Clock()
        self.verdicts: list[Any] = []
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
        is_over: Callable[[str], bool] = lambda _key: False,
    ) -> list[str]:
        waiter = Waiter(Api(self._played.url, TOKEN), sleep=self.clock.sleep, clock=self.clock)
        return waiter.wait(versions, self.verdicts.append, timeout_s=timeout_s, is_over=is_over)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one["objectKey"], one["versionId"]) for one in self.verdicts]


def test_a_verdict_that_is_there_needs_no_pause(played: PlayedApi) -> None:
    played.store(item("a", "v1"))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}) == []
    assert waiting.told == [("a", "v1")]
    assert waiting.clock.slept == []


def test_the_result_of_an_older_version_is_never_taken(played: PlayedApi) -> None:
    played.store(item("a", "v1"))
    waiting = Waiting(played, lambda: None, lambda: played.store(item("a", "v2")))
    assert waiting.wait({"a": "v2"}) == []
    assert waiting.told == [("a", "v2")]


def test_what_was_replaced_is_not_waited_for_to_the_end(played: PlayedApi) -> None:
    played.store(item("a", "v2"))
    waiting = Waiting(played)
    asked: list[str] = []

    def replaced(key: str) -> bool:
        asked.append(key)
        return key == "a" and waiting.clock.now > 12

    assert waiting.wait({"a": "v1", "b": "v1"}, 30, replaced) == ["b"]
    assert waiting.told == []
    # Now and then: each at most every five seconds, and one that is over not again.
    assert 2 <= asked.count("a") <= 4 and asked.count("b") <= 6


def test_nobody_is_asked_where_the_verdict_comes_soon(played: PlayedApi) -> None:
    waiting = Waiting(played, lambda: played.store(item("a", "v1")))
    assert waiting.wait({"a": "v1"}, is_over=lambda _key: pytest.fail("asked")) == []


def test_where_the_bucket_has_no_versions_any_result_counts(played: PlayedApi) -> None:
    played.store(item("a", None))
    waiting = Waiting(played)
    assert waiting.wait({"a": None}) == []


def test_a_failure_that_is_tried_again_is_not_the_verdict(played: PlayedApi) -> None:
    played.store(failed("a", retryable=True))
    waiting = Waiting(played, lambda: played.store(item("a")))
    assert waiting.wait({"a": "v1"}) == []
    assert [one["status"] for one in waiting.verdicts] == ["done"]


def test_a_failure_for_good_is_the_verdict(played: PlayedApi) -> None:
    played.store(failed("a", retryable=False))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}) == []
    assert [one["status"] for one in waiting.verdicts] == ["failed"]


def test_what_has_no_verdict_when_time_is_up_is_named(played: PlayedApi) -> None:
    played.store(item("b"))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1", "b": "v1", "c": "v1"}, timeout_s=10) == ["a", "c"]
    assert waiting.told == [("b", "v1")]
    assert waiting.clock.now == pytest.approx(10)


def test_with_no_time_at_all_it_still_looks_once(played: PlayedApi) -> None:
    played.store(item("a"))
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1", "b": "v1"}, timeout_s=0) == ["b"]
    assert waiting.told == [("a", "v1")]


def test_waiting_for_nothing_asks_nothing(played: PlayedApi) -> None:
    assert Waiting(played).wait({}) == []
    assert played.asked == []


def test_the_pauses_grow_and_stay_short(played: PlayedApi) -> None:
    waiting = Waiting(played)
    waiting.wait({"a": "v1"}, timeout_s=60)
    pauses = waiting.clock.slept[:-1]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.1
    assert max(pauses) == 2.0


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
def test_a_passing_fault_is_passed_over(played: PlayedApi, answer: Answer) -> None:
    played.store(item("a"))
    played.instead = [answer, answer]
    waiting = Waiting(played)
    assert waiting.wait({"a": "v1"}) == []
    assert waiting.told == [("a", "v1")]


def test_a_connection_that_is_closed_after_each_answer_is_opened_again(played: PlayedApi) -> None:
    played.closing = True
    waiting = Waiting(played, lambda: None, lambda: played.store(item("a")))
    assert waiting.wait({"a": "v1"}) == []


def test_an_api_that_is_gone_ends_the_waiting(played: PlayedApi) -> None:
    played.instead = [Answer(404, {"message": "Not Found"})]
    with pytest.raises(ApiUnavailable):
        Waiting(played).wait({"a": "v1"})


def test_a_token_that_is_refused_ends_the_waiting(played: PlayedApi) -> None:
    played.instead = [Answer(401, {"error": {"code": "unauthorized", "message": "No."}})]
    with pytest.raises(Problem) as caught:
        Waiting(played).wait({"a": "v1"})
    assert caught.value.code == "unauthorized"


# --- many ----------------------------------------------------------------------------------------


def _many(count: int) -> dict[str, str | None]:
    return {f"{number:03}.jpg": "v2" for number in range(count)}


def test_many_pictures_are_looked_for_in_the_list(played: PlayedApi) -> None:
    versions = _many(250)
    played.store(*(item(key, version) for key, version in versions.items()))
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert sorted(key for key, _ in waiting.told) == sorted(versions)
    assert {request.path for request in played.asked} == {"/prod/results"}
    assert len(played.asked) < 10


def test_in_the_list_an_older_version_counts_for_nothing(played: PlayedApi) -> None:
    versions = _many(20)
    played.store(*(item(key, "v1") for key in versions))
    waiting = Waiting(played, lambda: played.store(*(item(key, "v2") for key in versions)))
    assert waiting.wait(versions) == []
    assert {version for _, version in waiting.told} == {"v2"}
    assert len(waiting.told) == 20


def test_an_empty_page_with_a_cursor_is_not_the_end(played: PlayedApi) -> None:
    versions = _many(6)
    pages: dict[str | None, Any] = {
        None: ([item(key, "v2") for key in list(versions)[:3]], "1"),
        "1": ([], "2"),
        "2": ([item(key, "v2") for key in list(versions)[3:]], None),
    }
    played.pages = pages.__getitem__
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert waiting.clock.slept == []


def test_what_the_list_misses_is_found_by_key(played: PlayedApi) -> None:
    versions = _many(6)
    played.store(*(item(key, "v2") for key in versions))
    played.pages = lambda _after: ([], None)
    waiting = Waiting(played)
    assert waiting.wait(versions) == []
    assert len(waiting.told) == 6


def test_a_verdict_is_told_once(played: PlayedApi) -> None:
    versions = _many(6)
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
    ],
)
def test_only_the_last_word_on_the_right_version_is_final(
    stored: Any, version: str | None, final: bool
) -> None:
    assert is_final(stored, version) is final


def test_stragglers_are_asked_for_side_by_side(played: PlayedApi) -> None:
    """What the list has missed shows with the next look by key, not one answer after the other."""
    keys = [f"{number}.jpg" for number in range(16)]
    played.store(*(item(key) for key in keys))
    played.pages = lambda _after: ([], None)
    together = threading.Barrier(8, timeout=10)

    def before(request: Request) -> None:
        if request.path.endswith("/result"):
            together.wait()

    played.before = before
    waiting = Waiting(played)
    assert waiting.wait(dict.fromkeys(keys, "v1")) == []
    assert sorted(key for key, _version in waiting.told) == sorted(keys)
    assert not together.broken


def test_one_straggler_that_cannot_be_read_hides_none_of_the_others(played: PlayedApi) -> None:
    keys = [f"{number}.jpg" for number in range(16)]
    played.store(*(item(key) for key in keys))
    played.pages = lambda _after: ([], None)
    played.busy = lambda request: request.query.get("key") == "3.jpg"
    waiting = Waiting(played)
    assert waiting.wait(dict.fromkeys(keys, "v1"), timeout_s=30) == ["3.jpg"]


def test_a_page_that_fails_loses_none_of_those_before_it(played: PlayedApi) -> None:
    keys = [f"{number:03}.jpg" for number in range(150)]
    played.store(*(item(key, at=f"2026-11-22T10:00:00.{key[:3]}Z") for key in keys))
    played.busy = lambda request: bool(request.query.get("after"))
    waiting = Waiting(played)
    waiting.wait(dict.fromkeys(keys, "v1"), timeout_s=0)
    assert len(waiting.told) == 100


def test_without_the_token_pictures_are_asked_for_by_key(played: PlayedApi) -> None:
    keys = [f"{number}.jpg" for number in range(16)]
    played.store(*(item(key) for key in keys))
    clock = Clock()
    told: list[Any] = []
    waiter = Waiter(Api(played.url), sleep=clock.sleep, clock=clock)
    assert waiter.wait(dict.fromkeys(keys), told.append, timeout_s=60) == []
    assert len(told) == len(keys)
