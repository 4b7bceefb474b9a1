"""Results as objects in a bucket: names, the index by time, conditions; and that both stores decide alike."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from ingest.app import Unfinished
from shared import result_objects as rules
from shared.dynamo_types import unchanged
from shared.stores import Store
from web import app as web_app
from web.needs import PageLimits

if TYPE_CHECKING:
    from shared.result_item import Tombstone
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

IN_BUCKET = pytest.mark.parametrize("store_kind", ["bucket"])
keys = st.text(min_size=1, max_size=300).filter(lambda text: len(text.encode("utf-8", "replace")) <= 1024)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    ["x" * 1004, "a.jpg", "pics/é b+c%.jpg", "日本/x.png", "a~b", ".hidden", "a..b/c", "x/.y", "a.json"],
)
def test_a_name_is_the_key_where_it_can_be(key: str) -> None:
    assert rules.name_of(key) == key


@pytest.mark.parametrize(
    "key", ["x" * 1005, "é" * 512, "~", "~a", "../a", "a/./b", "a/..", "a\nb", "a\x00", "."]
)
def test_other_names_are_hashes(key: str) -> None:
    assert len(rules.name_of(key)) == 65
    assert rules.name_of(key).startswith("~")


@given(st.lists(keys, min_size=2, max_size=5, unique=True))
def test_no_two_keys_share_a_name(several: list[str]) -> None:
    assert len({rules.name_of(key) for key in several}) == len(several)


@given(keys)
def test_every_name_fits_into_an_object_key_and_comes_back(key: str) -> None:
    name = rules.name_of(key)
    entry = rules.index_object("2026-11-22T10:00:00.123Z", name)
    for made in (rules.result_object(name), entry):
        assert len(made.encode("utf-8", "surrogatepass")) <= 1024
    assert rules.name_of_result(rules.result_object(name)) == name
    assert rules.parse_index(entry) == ("2026-11-22T10:00:00.123Z", name)


def test_the_index_is_in_the_order_of_time_newest_first() -> None:
    times = ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z", "2026-01-01T23:59:59.999Z"]
    times += ["2026-01-02T00:00:00.000Z", "2099-12-31T23:59:59.999Z"]
    entries = [rules.index_object(time, "a") for time in times]
    assert sorted(entries) == entries[::-1]
    assert entries[3] < rules.index_start(date(2026, 1, 1)) <= entries[2]


@pytest.mark.parametrize("day", [date.min, date.max, date(1969, 12, 31)])
def test_no_day_is_out_of_range(day: date) -> None:
    assert rules.index_start(day) in {"index/0000000000000", "index/9999999999999"}


@pytest.mark.parametrize(
    "key", ["index/", "index/1/a", "index/123456789012/a", "index/12345678901234/a", "results/a.json"]
)
def test_what_is_no_entry_is_none(key: str) -> None:
    assert rules.parse_index(key) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"objectKey": "a"}'])
def test_what_is_no_result_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        rules.load(data)


@pytest.mark.parametrize("environment", [{}, {"TABLE_NAME": ""}, {"TABLE_NAME": "t", "RESULTS_BUCKET": "b"}])
def test_exactly_one_store_must_be_named(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="TABLE_NAME and RESULTS_BUCKET"):
        Store.from_environment(environment)


# --- both stores decide alike --------------------------------------------------------------------


def _candidates() -> list[Any]:
    versions: list[dict[str, str]] = [{}, {"versionId": "v1"}, {"versionId": "v2"}]
    return [
        {"objectKey": "a.jpg", "status": status, "sequencer": number * 32, **version}
        for status, number, version in itertools.product(("done", "failed", "removed"), "12", versions)
    ]


def test_both_stores_replace_exactly_what_was_seen(unversioned_cloud: Cloud) -> None:
    """Every pair of what is stored and what the writer saw."""
    cloud = unversioned_cloud
    result: Any = {"objectKey": "a.jpg", "status": "done", "sequencer": "3" * 32}
    for stored, seen in itertools.product([None, *_candidates()], repeat=2):
        cloud.lose("a.jpg")
        if stored:
            assert cloud.bare_results.replace(stored, seen=None)
        assert cloud.bare_results.replace(result, seen=seen) == (stored == seen), (stored, seen)
        assert cloud.stored("a.jpg") == (result if stored == seen else stored)


def test_a_replacement_needs_what_was_seen(unversioned_cloud: Cloud) -> None:
    one, *others = _candidates()
    store = unversioned_cloud.bare_results
    assert not store.replace(one, seen=others[-1])
    assert store.replace(one, seen=None)
    assert not store.replace(one, seen=None)
    assert not store.replace(others[-1], seen=others[-1])
    assert store.replace(others[-1], seen=one)


# --- what stands in the bucket -------------------------------------------------------------------


@IN_BUCKET
def test_a_result_is_json_with_the_numbers_of_the_http_answer(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.ingest(cloud.put("pics/a b.jpg", pictures.jpeg()))
    assert cloud.objects("results/") == ["results/pics/a b.jpg.json"]
    answer = cloud.results_s3.get_object(
        Bucket="imgpipe-results-123456789012-eu-west-1-an", Key="results/pics/a b.jpg.json"
    )
    assert answer["ContentType"] == "application/json"
    text = answer["Body"].read().decode()
    assert '"Confidence":98.76543426513672' in text
    assert '"width":640' in text
    assert cloud.indexed() == [("2026-11-22T18:30:05.250Z", "pics/a b.jpg")]


@IN_BUCKET
@pytest.mark.parametrize("key", ["x" * 1024, "é" * 512, "~tilde.jpg"])
def test_keys_that_are_hashed_work_like_all_others(
    call: Call, cloud: Cloud, pictures: SimpleNamespace, key: str
) -> None:
    cloud.ingest(cloud.put(key, pictures.jpeg()))
    found = call(web_app.serve, cloud.web(), "GET /results", {"limit": "1"})
    assert [item["objectKey"] for item in found.json["items"]] == [key]
    assert call(web_app.serve, cloud.web(), "GET /image", {"key": key}).status == 200
    cloud.store("older.jpg", "2026-11-20T10:00:00.000Z")
    first = call(web_app.serve, cloud.web(), "GET /results", {"limit": "1"}).json
    assert first["items"][0]["objectKey"] == key
    second = call(web_app.serve, cloud.web(), "GET /results", {"limit": "1", "after": first["next"]}).json
    assert ([item["objectKey"] for item in second["items"]], second["next"]) == (["older.jpg"], None)


@IN_BUCKET
def test_a_renewed_result_has_one_entry(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.now += timedelta(seconds=1)
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg(200, 200)))
    assert cloud.indexed() == [("2026-11-22T18:30:06.250Z", "a.jpg")]


@IN_BUCKET
def test_two_versions_of_the_same_millisecond_keep_their_entry(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg(200, 200)))
    assert cloud.indexed() == [("2026-11-22T18:30:05.250Z", "a.jpg")]


@IN_BUCKET
def test_a_tombstone_carries_the_tag_by_which_it_expires(cloud: Cloud, pictures: SimpleNamespace) -> None:
    def tags() -> list[dict[str, str]]:
        where = {"Bucket": "imgpipe-results-123456789012-eu-west-1-an", "Key": "results/a.jpg.json"}
        return list(cloud.results_s3.get_object_tagging(**where)["TagSet"])

    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert tags() == []
    cloud.ingest(cloud.delete("a.jpg"))
    assert tags() == [{"Key": "imgpipe", "Value": "tombstone"}]
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert tags() == []


# --- others write at the same time ---------------------------------------------------------------


def _just_before_the_result_is_put(cloud: Cloud, act: Any, *, times: int = 1) -> None:
    left = iter(range(times))

    def hook(params: dict[str, Any], **_context: Any) -> None:
        if params["Key"].startswith("results/") and next(left, None) is not None:
            act()

    cloud.results_s3.meta.events.register_first("provide-client-params.s3.PutObject", hook)


@IN_BUCKET
def test_a_newer_result_that_comes_in_between_wins(cloud: Cloud, pictures: SimpleNamespace) -> None:
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg(200, 200))

    def newer() -> None:
        cloud.now += timedelta(seconds=1)
        cloud.ingest(new)

    _just_before_the_result_is_put(cloud, newer)
    cloud.ingest(old)
    item = cloud.stored("a.jpg")
    assert item and item["width"] == 200
    assert cloud.indexed() == [("2026-11-22T18:30:06.250Z", "a.jpg")]


@IN_BUCKET
def test_an_older_result_that_comes_in_between_loses(cloud: Cloud, pictures: SimpleNamespace) -> None:
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg(200, 200))
    _just_before_the_result_is_put(cloud, lambda: cloud.ingest(old))
    cloud.ingest(new)
    item = cloud.stored("a.jpg")
    assert item and item["width"] == 200
    assert len(cloud.indexed()) == 1


@IN_BUCKET
@pytest.mark.parametrize(
    ("status", "code"), [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")]
)
def test_looking_again_has_an_end(cloud: Cloud, status: int, code: str) -> None:
    cloud.fail(cloud.results_s3, "PutObject", status, code)
    mark: Tombstone = {"objectKey": "a.jpg", "status": "removed", "sequencer": "1" * 32}
    with pytest.raises(ClientError, match=code):
        cloud.result_store.replace(mark, seen=None)


@IN_BUCKET
def test_an_object_gone_in_between_is_written_anew(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    _just_before_the_result_is_put(cloud, lambda: cloud.lose("a.jpg"))
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg(200, 200)))
    item = cloud.stored("a.jpg")
    assert item and item["width"] == 200


@IN_BUCKET
def test_a_stop_before_the_result_leaves_an_entry_that_no_list_shows(
    call: Call, cloud: Cloud, pictures: SimpleNamespace
) -> None:
    """The entry stands before the result, never after it: nothing that is stored is missing in the list."""

    def stop() -> None:
        raise RuntimeError("power cut")

    event = cloud.put("a.jpg", pictures.jpeg())
    _just_before_the_result_is_put(cloud, stop)
    with pytest.raises(Unfinished):
        cloud.ingest(event)
    assert (cloud.stored("a.jpg"), len(cloud.indexed())) == (None, 1)
    assert call(web_app.serve, cloud.web(), "GET /results").json == {"items": [], "next": None}
    cloud.now += timedelta(minutes=1)
    cloud.ingest(event)
    found = call(web_app.serve, cloud.web(), "GET /results").json
    assert [item["objectKey"] for item in found["items"]] == ["a.jpg"]


@IN_BUCKET
def test_results_not_read_in_time_come_on_the_next_page(call: Call, cloud: Cloud) -> None:
    for number in range(3):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z")
    cloud.page_limits = PageLimits(read_s=-1)
    found: list[list[str]] = []
    query: dict[str, str] = {}
    while True:
        page = call(web_app.serve, cloud.web(), "GET /results", query).json
        found.append([item["objectKey"] for item in page["items"]])
        if page["next"] is None:
            break
        query = {"after": page["next"]}
    assert found == [["2.jpg"], ["1.jpg"], ["0.jpg"]]


@IN_BUCKET
def test_a_cursor_from_the_days_of_a_table_leads_on(call: Call, cloud: Cloud) -> None:
    from web.cursor import Place

    for number in range(3):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z")
    for key in ("1.jpg", "x" * 1024):
        place = Place(day=date(2026, 11, 22), analyzed_at="2026-11-22T10:00:01.000Z", object_key=key)
        page = call(web_app.serve, cloud.web(), "GET /results", {"after": place.text()})
        assert page.json["items"][-1]["objectKey"] == "0.jpg"


def test_a_stored_result_is_written_alike_by_function_and_command_line() -> None:
    """Both write it by these requests: what is there now decides, and a tombstone is tagged."""
    item = {"objectKey": "a.jpg", "status": "done", "sequencer": "1" * 32}
    assert rules.put_request(item, '"e"') == {
        "Key": "results/a.jpg.json",
        "Body": rules.dump(item),
        "ContentType": "application/json",
        "IfMatch": '"e"',
    }
    mark = rules.put_request({**item, "status": "removed"}, None)
    assert (mark["IfNoneMatch"], mark["Tagging"]) == ("*", "imgpipe=tombstone")


def test_the_table_is_written_only_while_nothing_has_changed() -> None:
    assert unchanged(None)["ConditionExpression"] == "attribute_not_exists(#key)"
    told = unchanged({"sequencer": "1", "status": "done", "analyzedAt": "t", "labels": []})
    assert told["ConditionExpression"] == (
        "#sequencer = :sequencer AND #status = :status AND attribute_not_exists(#versionId)"
        " AND #analyzedAt = :analyzedAt AND attribute_not_exists(#indexedAt)"
    )
    assert told["ExpressionAttributeValues"].keys() == {":sequencer", ":status", ":analyzedAt"}
    assert told["ExpressionAttributeNames"].keys() == {
        "#sequencer",
        "#status",
        "#versionId",
        "#analyzedAt",
        "#indexedAt",
    }
