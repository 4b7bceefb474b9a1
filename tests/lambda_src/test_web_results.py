"""GET /results: pages over days, cursors, and what an altered cursor can do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from web import app, listing
from web.cursor import Place, parse_cursor
from web.needs import PageLimits

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Answered, Call


def pages(call: Call, cloud: Cloud, **query: str) -> Iterator[Answered]:
    deps = cloud.web()
    for _ in range(50):
        answer = call(app.serve, deps, "GET /results", query)
        assert answer.status == 200
        yield answer
        if answer.json["next"] is None:
            return
        query["after"] = answer.json["next"]
    raise AssertionError("the pages never end")


def keys(answer: Answered) -> list[str]:
    return [item["objectKey"] for item in answer.json["items"]]


def test_an_empty_pipeline_has_an_empty_list(call: Call, cloud: Cloud) -> None:
    (page,) = pages(call, cloud)
    assert page.json == {"items": [], "next": None}


@pytest.mark.parametrize("limit", ["1", "2", "3", "7", "100"])
def test_pages_cover_every_day_once_newest_first(call: Call, cloud: Cloud, limit: str) -> None:
    times = [cloud.now - timedelta(hours=hours) for hours in (-6, 0, 1, 2, 20, 21, 24 * 9, 24 * 33, 24 * 40)]
    for number, time in enumerate(times):
        cloud.store(f"{number}.jpg", time.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    found = [key for page in pages(call, cloud, limit=limit) for key in keys(page)]
    assert found == [f"{number}.jpg" for number in range(len(times))]


def test_results_of_the_same_millisecond_are_all_listed(call: Call, cloud: Cloud) -> None:
    for number in range(7):
        cloud.store(f"{number}.jpg", "2026-11-22T10:00:00.000Z")
    found = [key for page in pages(call, cloud, limit="2") for key in keys(page)]
    assert sorted(found) == [f"{number}.jpg" for number in range(7)]


def test_a_page_has_twenty_results_unless_told(call: Call, cloud: Cloud) -> None:
    for number in range(25):
        cloud.store(f"{number:02}.jpg", f"2026-11-22T10:00:{number:02}.000Z")
    first, second = pages(call, cloud)
    assert (len(keys(first)), len(keys(second))) == (20, 5)
    assert keys(first)[0] == "24.jpg"


def test_a_last_page_that_is_just_full_ends_the_list(call: Call, cloud: Cloud) -> None:
    cloud.store("a.jpg", (cloud.now - timedelta(days=40)).isoformat()[:10] + "T10:00:00.000Z")
    (page,) = pages(call, cloud, limit="1")
    assert keys(page) == ["a.jpg"]


def test_a_removed_result_leaves_a_short_page(call: Call, cloud: Cloud) -> None:
    for number in range(3):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z")
    first = call(app.serve, cloud.web(), "GET /results", {"limit": "1"})
    # A cursor stays good although what it names is gone.
    cloud.lose("2.jpg")
    second = call(app.serve, cloud.web(), "GET /results", {"after": first.json["next"]})
    assert keys(second) == ["1.jpg", "0.jpg"]


@pytest.mark.parametrize("store_kind", ["table"])
def test_the_walk_stops_when_its_time_is_up(call: Call, cloud: Cloud) -> None:
    """Then a page may be empty, and its cursor leads on."""
    cloud.page_limits = PageLimits(walk_s=-1)
    cloud.store("old.jpg", (cloud.now - timedelta(days=30)).isoformat()[:10] + "T10:00:00.000Z")
    found = [keys(page) for page in pages(call, cloud)]
    assert found[0] == []
    assert len(found) == 21  # 42 days, each time the first two
    assert ["old.jpg"] in found


def test_a_page_never_outgrows_lambdas_answer(call: Call, cloud: Cloud) -> None:
    cloud.page_limits = PageLimits(answer_bytes=1000)
    for number in range(6):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z", note="x" * 300)
    found = [keys(page) for page in pages(call, cloud)]
    assert found == [["5.jpg", "4.jpg"], ["3.jpg", "2.jpg"], ["1.jpg", "0.jpg"]]


def test_a_result_larger_than_a_page_is_served_alone(call: Call, cloud: Cloud) -> None:
    cloud.page_limits = PageLimits(answer_bytes=10)
    for number in range(3):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z")
    assert [keys(page) for page in pages(call, cloud)] == [["2.jpg"], ["1.jpg"], ["0.jpg"]]


def leave_unprocessed(cloud: Cloud, times: int) -> None:
    """Let BatchGetItem answer only its first key, so many times."""
    left = iter(range(times))

    def shorten(params: dict[str, Any], **_context: Any) -> None:
        wanted = params["RequestItems"]["imgpipe-results"]["Keys"]
        if next(left, None) is not None:
            cloud.asked.append(("unprocessed", {"Keys": wanted[1:]}))
            params["RequestItems"]["imgpipe-results"]["Keys"] = wanted[:1]

    def add(parsed: dict[str, Any], **_context: Any) -> None:
        if cloud.asked:
            parsed["UnprocessedKeys"] = {"imgpipe-results": cloud.asked.pop()[1]}

    events = cloud.dynamodb.meta.events
    events.register_first("provide-client-params.dynamodb.BatchGetItem", shorten)
    events.register_last("after-call.dynamodb.BatchGetItem", add)


@pytest.mark.parametrize("store_kind", ["table"])
def test_unprocessed_keys_are_asked_for_again(call: Call, cloud: Cloud) -> None:
    for number in range(4):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z")
    leave_unprocessed(cloud, 2)
    (page,) = pages(call, cloud)
    assert keys(page) == ["3.jpg", "2.jpg", "1.jpg", "0.jpg"]


@pytest.mark.parametrize("store_kind", ["table"])
def test_keys_not_read_in_time_come_on_the_next_page(call: Call, cloud: Cloud) -> None:
    cloud.page_limits = PageLimits(read_s=-1)
    for number in range(4):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z")
    leave_unprocessed(cloud, 1)
    assert [keys(page) for page in pages(call, cloud)] == [["3.jpg"], ["2.jpg", "1.jpg", "0.jpg"]]


def test_images_come_as_links_to_the_very_version(call: Call, cloud: Cloud) -> None:
    cloud.store("a b.jpg", "2026-11-22T10:00:00.000Z", versionId="v+1", contentType="image/png")
    (plain,) = pages(call, cloud)
    assert "imageUrl" not in plain.json["items"][0]
    (page,) = pages(call, cloud, images="true")
    url = page.json["items"][0]["imageUrl"]
    assert url.startswith(
        "https://imgpipe-uploads-123456789012-eu-west-1-an.s3.eu-west-1.amazonaws.com/a%20b.jpg?"
    )
    assert "versionId=v%2B1" in url
    assert "X-Amz-Expires=300" in url
    assert "response-content-type=image%2Fpng" in url


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5", "\uff12\uff10", "9" * 5000])
def test_a_limit_out_of_range_is_refused(call: Call, cloud: Cloud, limit: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /results", {"limit": limit})
    assert (answer.status, answer.code) == (400, "invalid_limit")


@pytest.mark.parametrize("status", ["", "retrying", "DONE", "removed"])
def test_a_status_is_one_that_is_stored(call: Call, cloud: Cloud, status: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /results", {"status": status})
    assert (answer.status, answer.code) == (400, "invalid_status")


@pytest.mark.parametrize("limit", ["1", "2", "100"])
@pytest.mark.parametrize("failed_index", ["failed", ""])
def test_only_results_of_that_status_and_prefix_are_listed_and_none_is_missed(
    call: Call, cloud: Cloud, limit: str, failed_index: str
) -> None:
    """Some names are hashed in the index of a bucket, and some begin with the hash's own sign."""
    cloud.page_limits, cloud.failed_index = PageLimits(walk_s=600), failed_index
    names = ["in/a.jpg", "out/b.jpg", "in/./c.jpg", "~in.jpg", f"in/{'d' * 1000}.jpg"]
    wanted = []
    for number in range(40):
        name = f"{names[number % 5]}-{number}"
        status = "failed" if number % 3 == 0 else "done"
        cloud.store(name, f"2026-11-22T10:00:{number:02}.000Z", status=status)
        wanted += [name] if status == "failed" and name.startswith("in/") else []
    query = {"status": "failed", "prefix": "in/", "limit": limit}
    found = list(pages(call, cloud, **query))
    assert [key for page in found for key in keys(page)] == wanted[::-1]
    assert all(len(keys(page)) == int(limit) for page in found[:-1])


def test_many_results_are_passed_over_in_one_request(call: Call, cloud: Cloud) -> None:
    cloud.page_limits, cloud.failed_index = PageLimits(walk_s=600), ""
    for number in range(230):
        at = f"2026-11-22T10:{number // 60:02}:{number % 60:02}.000Z"
        cloud.store(f"{number}.jpg", at, status="done" if number else "failed")
    (page,) = pages(call, cloud, status="failed", limit="5")
    assert keys(page) == ["0.jpg"]


def test_when_the_time_is_up_a_page_may_be_empty_and_leads_on(call: Call, cloud: Cloud) -> None:
    cloud.page_limits, cloud.failed_index = PageLimits(walk_s=-1), ""
    for number in range(230):
        at = f"2026-11-22T10:{number // 60:02}:{number % 60:02}.000Z"
        cloud.store(f"{number}.jpg", at, status="done" if number else "failed")
    found = [keys(page) for page in pages(call, cloud, status="failed")]
    assert found[:2] == [[], []]
    assert ["0.jpg"] in found


@pytest.mark.parametrize("store_kind", ["table"])
def test_of_a_busy_day_only_that_day_is_asked_for(call: Call, cloud: Cloud) -> None:
    for number in range(30):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:{number:02}.000Z")
    days: list[str] = []

    def note(params: dict[str, Any], **_context: Any) -> None:
        days.append(params["ExpressionAttributeValues"][":partition"]["S"])

    cloud.dynamodb.meta.events.register_first("provide-client-params.dynamodb.Query", note)
    first = call(app.serve, cloud.web(), "GET /results", {"limit": "10"})
    # Tomorrow too, since clocks differ.
    assert sorted(days) == ["2026-11-22", "2026-11-23"]
    days.clear()
    second = call(app.serve, cloud.web(), "GET /results", {"limit": "10", "after": first.json["next"]})
    assert (len(keys(second)), days) == (10, ["2026-11-22"])


@pytest.mark.parametrize("images", ["", "1", "yes", "TRUE", "true,true"])
def test_images_is_true_or_false(call: Call, cloud: Cloud, images: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /results", {"images": images})
    assert (answer.status, answer.code) == (400, "invalid_images")


def cursor(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


BAD_CURSORS = [
    "%%%",
    "é",
    "AAAA",
    cursor({}),
    cursor([]),
    cursor(["2026-11-22"]),
    cursor(["2026-11-22", None, None, None]),
    cursor(["today", None, None]),
    cursor([20261122, None, None]),
    cursor(["2026-11-22", "2026-11-22T10:00:00.000Z", None]),
    cursor(["2026-11-22", None, "a.jpg"]),
    cursor(["2026-11-22", "2026-11-21T10:00:00.000Z", "a.jpg"]),
    cursor(["2026-11-22", "2026-11-22", "a.jpg"]),
    cursor(["2026-11-22", "2026-11-22T10:00:00.000Z", ""]),
    cursor(["2026-11-22", "2026-11-22T10:00:00.000Z", "x" * 1025]),
    cursor(["2026-11-22", "2026-11-22T10:00:00.000Z", {"S": "a"}]),
    base64.urlsafe_b64encode(b"[" * 100_000).decode(),
]


@pytest.mark.parametrize("text", BAD_CURSORS, ids=range(len(BAD_CURSORS)))
def test_an_altered_cursor_is_refused(call: Call, cloud: Cloud, text: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /results", {"after": text})
    assert (answer.status, answer.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-01-01"])
def test_a_cursor_outside_the_pipelines_days_does_no_harm(call: Call, cloud: Cloud, day: str) -> None:
    cloud.store("a.jpg", "2026-11-22T10:00:00.000Z")
    answer = call(app.serve, cloud.web(), "GET /results", {"after": cursor([day, None, None])})
    assert answer.status == 200
    assert keys(answer) == (["a.jpg"] if day.startswith("9") else [])
    assert answer.json["next"] is None


def test_a_cursor_comes_back_as_it_was() -> None:
    from datetime import date

    for place in (
        Place(day=date(2026, 11, 22)),
        Place(day=date(2026, 11, 22), analyzed_at="2026-11-22T10:00:00.123Z", object_key="é/日本 語.jpg"),
    ):
        assert parse_cursor(place.text()) == place


def test_the_worst_case_is_below_the_timeout() -> None:
    assert listing.worst_case_s(PageLimits()) == 17
    assert listing.worst_case_s(PageLimits()) < app.TIMEOUT_S
