"""POST /results: several results by their keys, and which keys are to be asked for again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.result_objects import name_of, result_object
from tests.support.function_cloud import error
from tests.support.result_places import RESULTS_BUCKET
from web import app
from web.needs import PageLimits

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Answered, Call

AT = "2026-11-22T10:00:00.000Z"


def ask(call: Call, cloud: Cloud, *keys: str, **more: Any) -> Answered:
    return call(app.serve, cloud.web(), "POST /results", body=json.dumps({"keys": keys}), **more)


def parts(answer: Answered) -> tuple[list[str], list[str], list[str]]:
    assert answer.status == 200, answer.body
    found = answer.json
    assert list(found) == ["items", "absent", "rest"]
    return [item["objectKey"] for item in found["items"]], found["absent"], found["rest"]


def test_results_come_in_the_order_asked_for_each_once(call: Call, cloud: Cloud) -> None:
    for key in ("a.jpg", "ü/日本 😀.jpg", "c+d.jpg"):
        cloud.store(key, AT, versionId="v1")
    answer = ask(call, cloud, "ü/日本 😀.jpg", "none.jpg", "a.jpg", "a.jpg", "none.jpg", "c+d.jpg")
    assert parts(answer) == (["ü/日本 😀.jpg", "a.jpg", "c+d.jpg"], ["none.jpg"], [])
    # Whole, without what only serves the store.
    assert answer.json["items"][0]["versionId"] == "v1"
    assert "day" not in answer.json["items"][0]


def test_a_removed_picture_has_no_result(call: Call, cloud: Cloud) -> None:
    cloud.keep_versions()
    cloud.ingest(cloud.put("a.jpg", b"no picture"))
    assert parts(ask(call, cloud, "a.jpg")) == (["a.jpg"], [], [])
    cloud.ingest(cloud.delete("a.jpg"))
    assert parts(ask(call, cloud, "a.jpg")) == ([], ["a.jpg"], [])


def test_a_hundred_are_read_in_one_request(call: Call, cloud: Cloud) -> None:
    keys = [f"{number}.jpg" for number in range(100)]
    for key in keys:
        cloud.store(key, AT)
    assert parts(ask(call, cloud, *keys)) == (keys, [], [])


def test_a_body_in_base64_is_read_too(call: Call, cloud: Cloud) -> None:
    import base64

    cloud.store("a.jpg", AT)
    body = base64.b64encode(b'{"keys": ["a.jpg"]}').decode()
    answer = call(app.serve, cloud.web(), "POST /results", body=body, base64=True)
    assert parts(answer) == (["a.jpg"], [], [])


def test_an_answer_never_outgrows_lambdas(call: Call, cloud: Cloud) -> None:
    """What has no room is named; asked for again and again, all of it comes, each once."""
    keys = [f"{number}.jpg" for number in range(30)]
    for key in keys:
        cloud.store(key, AT, note="x" * 300_000)
    found: list[str] = []
    rest, rounds = keys, 0
    while rest:
        answer = ask(call, cloud, *rest)
        assert len(answer.body.encode()) <= 5_000_000
        items, absent, rest = parts(answer)
        assert absent == []
        found += items
        rounds += 1
    assert (found, rounds) == (keys, 2)


def test_a_result_larger_than_an_answer_comes_alone(call: Call, cloud: Cloud) -> None:
    cloud.page_limits = PageLimits(answer_bytes=10)
    for key in ("a.jpg", "b.jpg"):
        cloud.store(key, AT)
    assert parts(ask(call, cloud, "a.jpg", "b.jpg")) == (["a.jpg"], [], ["b.jpg"])


def test_a_small_result_after_one_without_room_still_comes(call: Call, cloud: Cloud) -> None:
    cloud.page_limits = PageLimits(answer_bytes=1000)
    cloud.store("a.jpg", AT)
    cloud.store("large.jpg", AT, note="x" * 2000)
    cloud.store("b.jpg", AT)
    assert parts(ask(call, cloud, "a.jpg", "large.jpg", "b.jpg")) == (["a.jpg", "b.jpg"], [], ["large.jpg"])


@pytest.mark.parametrize("store_kind", ["table"])
def test_keys_that_the_table_leaves_for_later_are_to_be_asked_for_again(call: Call, cloud: Cloud) -> None:
    cloud.page_limits = PageLimits(read_s=-1)
    cloud.store("a.jpg", AT)
    cloud.store("b.jpg", AT)

    def leave(parsed: dict[str, Any], **_context: Any) -> None:
        found = parsed["Responses"]["imgpipe-results"]
        parsed["Responses"]["imgpipe-results"] = [one for one in found if one["objectKey"]["S"] != "b.jpg"]
        parsed["UnprocessedKeys"] = {"imgpipe-results": {"Keys": [{"objectKey": {"S": "b.jpg"}}]}}

    cloud.dynamodb.meta.events.register_last("after-call.dynamodb.BatchGetItem", leave)
    assert parts(ask(call, cloud, "a.jpg", "b.jpg", "none.jpg")) == (["a.jpg"], ["none.jpg"], ["b.jpg"])
    # With nothing to show for it, a client is told to wait before it asks again.
    answer = ask(call, cloud, "b.jpg")
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "busy", "1")


@pytest.mark.parametrize("store_kind", ["bucket"])
@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (403, "AccessDenied")])
def test_one_object_that_cannot_be_read_is_not_called_absent(
    call: Call, cloud: Cloud, status: int, code: str
) -> None:
    for key in ("a.jpg", "b.jpg"):
        cloud.store(key, AT)
    bad = result_object(name_of("b.jpg"))

    def refuse(params: dict[str, Any], **_context: Any) -> Any:
        return error(status, code) if params["url_path"].endswith(bad) else None

    cloud.results_client.meta.events.register_first("before-call.s3.GetObject", refuse)
    assert parts(ask(call, cloud, "a.jpg", "b.jpg")) == (["a.jpg"], [], ["b.jpg"])


@pytest.mark.parametrize("store_kind", ["bucket"])
def test_an_object_with_the_result_of_another_key_is_none(call: Call, cloud: Cloud) -> None:
    cloud.store("a.jpg", AT)
    body = cloud.results_s3.get_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of("a.jpg")))["Body"]
    cloud.results_s3.put_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of("b.jpg")), Body=body.read())
    assert parts(ask(call, cloud, "b.jpg")) == ([], ["b.jpg"], [])


@pytest.mark.parametrize("store_kind", ["table"])
def test_it_is_read_consistently(call: Call, cloud: Cloud) -> None:
    """As GET /result: asked right after the result was stored, it is not called absent."""
    asked: list[Any] = []
    cloud.dynamodb.meta.events.register_first(
        "before-parameter-build.dynamodb.BatchGetItem", lambda params, **_: asked.append(params)
    )
    ask(call, cloud, "a.jpg")
    assert asked[0]["RequestItems"]["imgpipe-results"]["ConsistentRead"] is True
