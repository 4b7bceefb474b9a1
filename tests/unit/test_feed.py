"""The feed of results: what is new, once each, and nothing lost."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.pictures.feed import Feed
from tests.support.api_server import TOKEN, Answer, FakeApi, item


def _at(second: int) -> str:
    return f"2026-11-22T10:{second // 60:02}:{second % 60:02}.000Z"


def _keys(feed: Feed) -> list[str]:
    return [str(one["objectKey"]) for one in feed.new()]


def test_the_feed_tells_what_is_new_oldest_first(played: FakeApi) -> None:
    feed = Feed(Api(played.url, TOKEN), since=_at(0))
    assert _keys(feed) == []
    played.store(item("b", at=_at(2)), item("a", at=_at(1)), item("c", at=_at(3)))
    assert _keys(feed) == ["a", "b", "c"]
    assert _keys(feed) == []


def test_what_was_there_before_is_not_told(played: FakeApi) -> None:
    played.store(item("old", at=_at(1)), item("at once", at=_at(5)))
    assert _keys(Feed(Api(played.url, TOKEN), since=_at(5))) == ["at once"]


def test_one_that_becomes_visible_late_is_told_and_none_twice(played: FakeApi) -> None:
    feed = Feed(Api(played.url, TOKEN), since=_at(0))
    played.store(item("first", at=_at(60)))
    assert _keys(feed) == ["first"]
    played.store(item("late", at=_at(40)))
    assert _keys(feed) == ["late"]
    assert _keys(feed) == []
    played.store(item("second", at=_at(80)))
    assert _keys(feed) == ["second"]
    assert _keys(feed) == []


def test_the_same_key_analyzed_again_is_told_again(played: FakeApi) -> None:
    feed = Feed(Api(played.url, TOKEN), since=_at(0))
    played.store(item("a", "v1", at=_at(1)))
    assert _keys(feed) == ["a"]
    played.store(item("a", "v2", at=_at(2)))
    assert _keys(feed) == ["a"]
    assert _keys(feed) == []


def test_the_feed_follows_the_cursor_as_far_as_there_is_news(played: FakeApi) -> None:
    played.page_size = 3
    played.store(*(item(f"{n:02}", at=_at(n)) for n in range(20)))
    assert _keys(Feed(Api(played.url, TOKEN), since=_at(10))) == [f"{n}" for n in range(10, 20)]
    assert len(played.asked) == 4


def test_the_feed_goes_on_behind_an_empty_page(played: FakeApi) -> None:
    pages: dict[str | None, Any] = {None: ([], "1"), "1": ([item("a", at=_at(1))], None)}
    played.pages = pages.__getitem__
    assert _keys(Feed(Api(played.url, TOKEN), since=_at(0))) == ["a"]


def test_after_a_fault_nothing_is_lost(played: FakeApi) -> None:
    played.page_size = 2
    feed = Feed(Api(played.url, TOKEN), since=_at(0))
    played.store(*(item(f"{n}", at=_at(n)) for n in range(4)))
    page = Answer(body={"items": [item("3", at=_at(3)), item("2", at=_at(2))], "next": "2"})
    played.instead = [page, Answer(503, {"message": "Service Unavailable"})]
    with pytest.raises(ApiUnavailable):
        _keys(feed)
    assert _keys(feed) == ["0", "1", "2", "3"]


def test_the_feed_looks_back_only_over_the_overlap(played: FakeApi) -> None:
    played.page_size = 5
    feed = Feed(Api(played.url, TOKEN), since=_at(0))
    played.store(*(item(f"{n:03}", at=_at(n)) for n in range(300)))
    assert len(_keys(feed)) == 300
    played.asked.clear()
    assert _keys(feed) == []
    assert len(played.asked) <= 8  # 31 results of the last 30 seconds, 5 a page, and one that is older
