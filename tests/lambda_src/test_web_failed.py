"""The index of failed results lists what reading all results finds, after any stop, and in few reads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ingest.bucket_store import ResultBucket
from shared.result_objects import FAILED, INDEX
from web import app

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call


def failed_by(index: str, call: Call, cloud: Cloud) -> list[str]:
    """The keys of all failed results, newest first. index: "" to find them among all others."""
    cloud.failed_index = index
    answer = call(app.serve, cloud.web(), "GET /results", {"status": "failed", "limit": "100"})
    assert (answer.status, answer.json["next"]) == (200, None)
    return [item["objectKey"] for item in answer.json["items"]]


def at(number: int) -> str:
    return f"2026-11-22T10:{number // 60:02}:{number % 60:02}.000Z"


def test_the_reads_do_not_grow_with_the_results_that_are_done(call: Call, cloud: Cloud) -> None:
    reads: Counter[str] = Counter()

    def note(model: Any, **_context: Any) -> None:
        reads[model.name] += 1

    client = cloud.results_client
    client.meta.events.register("before-call.*.*", note)
    counted = []
    for first, count in ((0, 30), (30, 400)):
        for number in range(first, count):
            cloud.store(f"{number}.jpg", at(number), status="failed" if number < 10 else "done")
        reads.clear()
        assert failed_by("failed", call, cloud) == [f"{number}.jpg" for number in reversed(range(10))]
        counted.append(dict(reads))
    assert counted[0] == counted[1]
    one_by_one = {"ListObjectsV2": 1, "GetObject": 10}
    assert counted[0] == ({"Query": 1, "BatchGetItem": 1} if cloud.kind == "table" else one_by_one)


def test_a_picture_leaves_the_index_with_its_failure_and_comes_back_with_it(call: Call, cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", b"words"))
    assert failed_by("failed", call, cloud) == ["a.jpg"]
    cloud.ingest(cloud.put("a.jpg", b"other words"))
    assert failed_by("failed", call, cloud) == ["a.jpg"]
    cloud.ingest(cloud.delete("a.jpg"))
    assert failed_by("failed", call, cloud) == []
    if cloud.kind == "bucket":
        assert cloud.objects(FAILED) == cloud.objects(INDEX) == []
    else:
        assert cloud.dynamodb.scan(TableName="imgpipe-results", IndexName="failed")["Count"] == 0


def test_readers_never_see_what_makes_the_index(call: Call, cloud: Cloud) -> None:
    cloud.store("a.jpg", at(1), status="failed")
    (item,) = call(app.serve, cloud.web(), "GET /results", {"status": "failed"}).json["items"]
    assert "failed" not in item
    (item,) = call(app.serve, cloud.web(), "POST /results", body='{"keys": ["a.jpg"]}').json["items"]
    assert "failed" not in item


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("store_kind", ["bucket"])
@pytest.mark.parametrize("before", ["", "done", "failed"])
@pytest.mark.parametrize("after", ["done", "failed"])
def test_after_a_kill_at_any_write_the_index_finds_what_a_full_reading_finds(
    call: Call, cloud: Cloud, before: str, after: str
) -> None:
    client, writes = cloud.results_s3, 0
    for survived in range(6):
        key = f"{survived}.jpg"
        if before:
            cloud.store(key, at(survived), status=before)
        left = iter(range(survived))

        def kill(left: Any = left, **_context: Any) -> None:
            if next(left, None) is None:
                raise Killed

        store = ResultBucket(s3=client, bucket=cloud.bare_results.bucket)  # type: ignore[attr-defined]
        item: Any = {
            **{"objectKey": key, "status": after, "sequencer": "1" * 32, "day": "2026-11-22"},
            "analyzedAt": at(survived + 100),
        }
        seen = store.read(key)
        for write in ("PutObject", "DeleteObject"):
            client.meta.events.register_first(f"before-call.s3.{write}", kill, unique_id=write)
        try:
            assert store.replace(item, seen=seen)
        except Killed:
            writes += 1
        finally:
            for write in ("PutObject", "DeleteObject"):
                client.meta.events.unregister(f"before-call.s3.{write}", unique_id=write)
        assert failed_by("failed", call, cloud) == failed_by("", call, cloud)
    entries = {"": 0, "done": 1, "failed": 2}
    assert writes == 1 + entries[after] + entries[before]


@pytest.mark.parametrize("store_kind", ["table"])
@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFoundException"])
def test_while_the_table_has_no_such_index_failures_are_found_among_all(
    call: Call, cloud: Cloud, code: str
) -> None:
    for number in range(5):
        cloud.store(f"{number}.jpg", at(number), status="failed" if number % 2 else "done")

    def refuse(params: Any, **_context: Any) -> Any:
        from tests.support.function_cloud import error

        return error(400, code) if '"IndexName": "failed"' in params["body"].decode() else None

    cloud.dynamodb.meta.events.register_first("before-call.dynamodb.Query", refuse)
    assert failed_by("failed", call, cloud) == ["3.jpg", "1.jpg"]
