"""Analyses are counted before they are asked for, once each, and never more than the month's limit."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from ingest import timeouts
from ingest.app import Unfinished
from ingest.counting import Asker, Claim
from shared import usage
from shared.dynamo_types import to_attributes
from shared.forced import metadata_of
from tests.support.function_cloud import error
from tests.support.picture_heads import jpeg
from tests.support.result_places import INDEX_TABLE

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

pytestmark = pytest.mark.parametrize("store_kind", ["table"])
THROTTLED = "ThrottlingException"


def picture(number: int) -> bytes:
    return jpeg(tail=number.to_bytes(4, "big"))


def statuses(cloud: Cloud, *keys: str) -> list[str]:
    """The status of each, or the code of its failure."""
    items = [cloud.stored(key) for key in keys]
    return [item.get("error", {}).get("code", item["status"]) if item else "none" for item in items]


def by_hand(event: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{**record, "imgpipe": "retry"} for record in event["Records"]]}


def claims(cloud: Cloud) -> list[dict[str, Any]]:
    items = cloud.index.scan(TableName=INDEX_TABLE)["Items"]
    return [item for item in items if item["pk"]["S"].startswith("asking#")]


def test_a_limit_of_one_analysis_is_told_in_the_singular(cloud: Cloud) -> None:
    for number in range(2):
        cloud.ingest(cloud.put(f"{number}.jpg", picture(number)), limit="1")
    item = cloud.stored("1.jpg")
    assert item is not None
    assert item["error"]["message"] == "The picture is over the monthly limit of 1 analysis."


def test_so_many_are_asked_for_and_the_others_wait_for_room(cloud: Cloud) -> None:
    events = [cloud.put(f"{number}.jpg", picture(number)) for number in range(5)]
    for event in events:
        cloud.ingest(event, limit="3")
    keys = [f"{number}.jpg" for number in range(5)]
    assert statuses(cloud, *keys) == ["done", "done", "done", "over_limit", "over_limit"]
    item = cloud.stored("4.jpg")
    assert item is not None
    assert item["error"]["message"] == "The picture is over the monthly limit of 3 analyses."
    assert "imgpipe retry" in item["error"]["hint"] and not item["error"]["retryable"]
    assert (len(cloud.asked), cloud.usage().analyses, cloud.usage().pictures) == (3, 3, 3)
    cloud.ingest(events[3], limit="4")
    assert statuses(cloud, "3.jpg") == ["over_limit"], "an event that comes twice changes nothing"
    cloud.ingest(by_hand(events[3]), limit="3")
    assert statuses(cloud, "3.jpg") == ["over_limit"]
    cloud.ingest(by_hand(events[3]), limit="4")
    cloud.now = datetime(2026, 12, 1, tzinfo=UTC)
    cloud.ingest(by_hand(events[4]), limit="4")
    assert statuses(cloud, *keys) == ["done"] * 5
    assert (len(cloud.asked), cloud.usage().analyses) == (5, 1)
    assert claims(cloud) == []


def test_the_month_is_that_of_utc(cloud: Cloud) -> None:
    cloud.now = datetime.fromisoformat("2026-12-31T23:30:00-05:00")
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    assert (cloud.usage().month, cloud.usage().analyses) == ("2027-01", 1)


def test_the_room_that_is_left_is_used_for_as_many_features_as_it_has(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.ingest(event, features="labels,faces,text", limit="2")
    assert cloud.operations == ["DetectFaces", "DetectLabels"]
    item = cloud.stored("a.jpg")
    assert item is not None and (item["error"]["code"], "labels" in item, "text" in item) == (
        "over_limit",
        True,
        False,
    )
    cloud.ingest(by_hand(event), features="labels,faces,text", limit="3")
    assert statuses(cloud, "a.jpg") == ["done"]
    assert cloud.usage().analyzed == {"labels": 1, "faces": 1, "text": 1}
    assert cloud.usage().analyses == 3


def again(event: dict[str, Any], **models: str) -> dict[str, Any]:
    """By hand, for what it lacks and for answers of these models."""
    return {"Records": [{**record, "again": models} for record in by_hand(event)["Records"]]}


@pytest.mark.parametrize("hand", [True, False], ids=["by hand", "delivered again"])
def test_a_finished_picture_stays_as_it_is_where_the_month_has_no_room_for_what_it_lacks(
    cloud: Cloud, hand: bool
) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.ingest(event)
    before = cloud.stored("a.jpg")
    cloud.now += timedelta(minutes=1)
    answer = cloud.ingest(again(event) if hand else event, features="labels,faces", limit="1")
    assert answer == {"records": 1, "overLimit": 1}
    assert (cloud.stored("a.jpg"), len(cloud.asked), cloud.usage().analyses) == (before, 1, 1)
    assert claims(cloud) == []
    assert cloud.ingest(again(event), features="labels,faces", limit="2") == {"records": 1, "overLimit": 0}
    item = cloud.stored("a.jpg")
    assert item is not None and (item["status"], item["features"]) == ("done", ["labels", "faces"])


def test_an_answer_that_was_to_be_replaced_stays_where_the_month_has_no_room(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.ingest(event)
    before = cloud.stored("a.jpg")
    cloud.now += timedelta(minutes=1)
    assert cloud.ingest(again(event, labels="3.0"), limit="1") == {"records": 1, "overLimit": 1}
    assert (cloud.stored("a.jpg"), len(cloud.asked)) == (before, 1)


def test_a_finished_picture_gets_as_much_of_what_it_lacks_as_there_is_room_for(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.ingest(event)
    answer = cloud.ingest(again(event, labels="3.0"), features="labels,faces,text", limit="3")
    assert answer == {"records": 1, "overLimit": 1}
    item = cloud.stored("a.jpg")
    assert item is not None and item["status"] == "done"
    assert item["features"] == ["labels", "faces"] == [one for one in item["features"] if one in item]
    assert (len(cloud.asked), cloud.usage().analyses, claims(cloud)) == (3, 3, [])


def test_a_finished_picture_is_found_though_the_month_has_no_room_for_what_it_lacks(cloud: Cloud) -> None:
    """Its rows may be missing: to store it again writes them."""
    event = cloud.put("a.jpg", picture(1))
    cloud.fail(cloud.index, "BatchWriteItem", 400, "AccessDeniedException")
    with pytest.raises(Unfinished, match="not_indexed"):
        cloud.ingest(event)
    cloud.heal(cloud.index, "BatchWriteItem")
    cloud.ingest(again(event), features="labels,faces", limit="1")
    item = cloud.stored("a.jpg")
    assert item is not None and (item["status"], item.get("notIndexed")) == ("done", None)


def test_copies_need_no_room(cloud: Cloud) -> None:
    for key in ("a.jpg", "b.jpg"):
        cloud.ingest(cloud.put(key, picture(1)), limit="1")
    assert statuses(cloud, "a.jpg", "b.jpg") == ["done", "done"]
    assert (cloud.usage().pictures, cloud.usage().reused) == (2, {"labels": 1})


# --- once each -------------------------------------------------------------------------------------


def test_a_throttled_run_does_not_count_twice(cloud: Cloud) -> None:
    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = THROTTLED
    event = cloud.put("a.jpg", picture(1))
    for _ in range(2):
        with pytest.raises(Unfinished):
            cloud.ingest(event, limit="1")
    cloud.answers["DetectLabels"] = good
    cloud.ingest(event, limit="1")
    assert (statuses(cloud, "a.jpg"), cloud.usage().analyses) == (["done"], 1)
    assert claims(cloud) == []


def test_an_analysis_that_is_asked_for_in_the_next_month_counts_there(cloud: Cloud) -> None:
    """Rekognition bills it there, whatever was counted for the tries before."""
    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = THROTTLED
    events = [cloud.put(f"{number}.jpg", picture(number)) for number in range(2)]
    for event in events:
        with pytest.raises(Unfinished):
            cloud.ingest(event, limit="2")
    cloud.now = datetime(2026, 12, 1, tzinfo=UTC)
    cloud.answers["DetectLabels"] = good
    cloud.asked.clear()
    for event in events:
        cloud.ingest(event, limit="1")
    assert statuses(cloud, "0.jpg", "1.jpg") == ["done", "over_limit"]
    assert (len(cloud.asked), cloud.usage().analyses, cloud.usage().pictures) == (1, 1, 1)
    assert claims(cloud) == []


def test_an_answer_that_is_reused_counts_where_the_month_has_no_room_for_the_others(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)), limit="1")
    cloud.ingest(cloud.put("b.jpg", picture(1)), features="labels,faces", limit="1")
    assert statuses(cloud, "b.jpg") == ["over_limit"]
    assert (cloud.usage().pictures, cloud.usage().reused) == (2, {"labels": 1})


def test_a_copy_takes_over_what_a_throttled_run_has_counted(cloud: Cloud) -> None:
    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = THROTTLED
    with pytest.raises(Unfinished):
        cloud.ingest(cloud.put("a.jpg", picture(1)), limit="1")
    cloud.answers["DetectLabels"] = good
    cloud.ingest(cloud.put("b.jpg", picture(1)), limit="1")
    assert (statuses(cloud, "b.jpg"), cloud.usage().analyses) == (["done"], 1)


def test_a_copy_that_needs_another_feature_forgets_nothing_of_what_was_counted(cloud: Cloud) -> None:
    """The pipeline looks for other features meanwhile."""
    good = cloud.answers["DetectFaces"]
    cloud.answers["DetectFaces"] = THROTTLED
    event = cloud.put("a.jpg", picture(1))
    with pytest.raises(Unfinished):
        cloud.ingest(event, features="labels,faces")
    cloud.ingest(cloud.put("b.jpg", picture(1)), features="labels,text")
    cloud.answers["DetectFaces"] = good
    cloud.ingest(event, features="labels,faces")
    assert (statuses(cloud, "a.jpg"), cloud.usage().analyses) == (["done"], 3)
    assert claims(cloud) == []


def test_a_run_that_was_stopped_is_not_counted_again(cloud: Cloud) -> None:
    def stopped(_parameters: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = stopped
    event = cloud.put("a.jpg", picture(1))
    with pytest.raises(KeyboardInterrupt):
        cloud.ingest(event, limit="1")
    cloud.answers["DetectLabels"] = good
    cloud.ingest(event, limit="1")
    assert (statuses(cloud, "a.jpg"), cloud.usage().analyses) == (["done"], 1)


def test_a_result_without_its_rows_keeps_nobody_from_asking_and_counts_once(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.fail(cloud.index, "BatchWriteItem", 400, "AccessDeniedException")
    with pytest.raises(Unfinished, match="not_indexed"):
        cloud.ingest(event, limit="1")
    assert claims(cloud) == []
    cloud.heal(cloud.index, "BatchWriteItem")
    cloud.ingest(event, limit="1")
    assert (len(cloud.asked), cloud.usage().analyses) == (1, 1)


# --- others ----------------------------------------------------------------------------------------


def conflict(*reasons: str) -> Any:
    """What AWS answers to a transaction that was not carried out."""
    answer, parsed = error(400, "TransactionCanceledException")
    return answer, {**parsed, "CancellationReasons": [{"Code": reason} for reason in reasons]}


@pytest.mark.parametrize("reasons", [("TransactionConflict", "None"), ("None", "TransactionConflict")])
def test_transactions_that_meet_are_sent_again(cloud: Cloud, reasons: tuple[str, str]) -> None:
    left = [conflict(*reasons)] * 3

    def meets(**_context: Any) -> Any:
        return left.pop() if left else None

    cloud.index.meta.events.register_first("before-call.dynamodb.TransactWriteItems", meets)
    cloud.ingest(cloud.put("a.jpg", picture(1)), limit="1")
    assert (statuses(cloud, "a.jpg"), len(cloud.slept), cloud.usage().analyses) == (["done"], 3, 1)


def test_a_plain_count_that_meets_a_transaction_is_sent_again(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    left = [error(400, "TransactionConflictException")]
    cloud.index.meta.events.register_first(
        "before-call.dynamodb.UpdateItem", lambda **_context: left.pop() if left else None
    )
    cloud.ingest(cloud.put("b.jpg", picture(1)))
    assert (len(cloud.slept), cloud.usage().reused) == (1, {"labels": 1})


def test_an_answer_that_got_lost_is_not_counted_again(cloud: Cloud) -> None:
    lost = [ReadTimeoutError(endpoint_url="https://example.com")]

    def lose(**_context: Any) -> None:
        if lost:
            raise lost.pop()

    cloud.index.meta.events.register("after-call.dynamodb.TransactWriteItems", lose)
    event = cloud.put("a.jpg", picture(1))
    with pytest.raises(Unfinished, match="service_unreachable"):
        cloud.ingest(event, limit="1")
    cloud.ingest(event, limit="1")
    assert (statuses(cloud, "a.jpg"), cloud.usage().analyses) == (["done"], 1)


def held(cloud: Cloud, *, ends_in_s: int) -> Asker:
    """Another picture of the bytes is being analyzed, for so long at most."""
    other = Asker(key="other.jpg", version_id="v", sha256=hashlib.sha256(picture(1)).hexdigest())
    claim = Claim(
        key=other.key,
        version_id="v",
        ends_at=round(cloud.now.timestamp()) + ends_in_s,
        counted=("labels",),
        month=usage.month_of(cloud.now),
    )
    cloud.index.put_item(TableName=INDEX_TABLE, Item=to_attributes(claim.attributes(other)))
    return other


def test_a_copy_waits_for_the_run_that_asks_already(cloud: Cloud) -> None:
    other = held(cloud, ends_in_s=200)
    first = cloud.put("other.jpg", picture(1))

    def ends() -> None:
        cloud.while_asleep = lambda: None
        cloud.index.delete_item(TableName=INDEX_TABLE, Key=to_attributes(other.row))
        cloud.ingest(first)

    cloud.while_asleep = ends
    cloud.ingest(cloud.put("copy.jpg", picture(1)))
    assert len(cloud.asked) == 1
    item = cloud.stored("copy.jpg")
    assert item is not None and item["reusedFrom"]["labels"]["objectKey"] == "other.jpg"


def test_a_copy_that_waits_in_vain_is_left_to_the_next_try(cloud: Cloud) -> None:
    random.seed(5)  # the last pause, of up to eight seconds, may have no room before the end
    held(cloud, ends_in_s=200)
    with pytest.raises(Unfinished, match="copy_in_progress"):
        cloud.ingest(cloud.put("copy.jpg", picture(1)))
    assert cloud.asked == []
    assert 90 < sum(cloud.slept) < timeouts.TRYING_S


# --- the same event, twice at the very same time ----------------------------------------------------

FORCED = pytest.mark.parametrize("forced", [False, True], ids=["usual", "forced"])


def called(request_id: str) -> Any:
    """The context of one call of the function. Lambda's repeats of a call have the same id."""
    return SimpleNamespace(aws_request_id=request_id)


def put(cloud: Cloud, key: str, *, forced: bool) -> dict[str, Any]:
    return cloud.put(key, picture(1), metadata=metadata_of(key) if forced else None)


@FORCED
def test_a_second_delivery_waits_for_the_first_and_finds_its_result(cloud: Cloud, forced: bool) -> None:
    event = put(cloud, "a.jpg", forced=forced)

    def stopped(_parameters: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = stopped
    with pytest.raises(KeyboardInterrupt):
        cloud.ingest(event, context=called("first"))
    cloud.answers["DetectLabels"] = good
    cloud.asked.clear()

    def first_ends() -> None:
        cloud.while_asleep = lambda: None
        assert cloud.asked == []
        cloud.ingest(event, context=called("first"))

    cloud.while_asleep = first_ends
    cloud.ingest(event, context=called("second"))
    assert cloud.slept
    item = cloud.stored("a.jpg")
    assert item is not None and item["status"] == "done" and "reusedFrom" not in item
    assert (len(cloud.asked), cloud.usage().analyses, cloud.usage().pictures) == (1, 1, 1)
    assert (cloud.usage().reused, claims(cloud)) == ({}, [])


@FORCED
def test_a_second_delivery_that_read_before_the_first_ended_asks_nothing(cloud: Cloud, forced: bool) -> None:
    """The claim is free again by then: what is stored tells."""
    event = put(cloud, "a.jpg", forced=forced)

    def first(**_context: Any) -> None:
        cloud.s3.meta.events.unregister("before-call.s3.GetObject", unique_id="first")
        cloud.ingest(event, context=called("first"))

    cloud.s3.meta.events.register_first("before-call.s3.GetObject", first, unique_id="first")
    cloud.ingest(event, context=called("second"))
    assert statuses(cloud, "a.jpg") == ["done"]
    assert (len(cloud.asked), cloud.usage().analyses, cloud.usage().pictures) == (1, 1, 1)
    assert (cloud.usage().reused, claims(cloud)) == ({}, [])


@FORCED
@pytest.mark.parametrize("hand", [False, True], ids=["delivery", "by hand"])
def test_one_that_waits_in_vain_for_its_own_picture_ends_no_result(
    cloud: Cloud, forced: bool, hand: bool
) -> None:
    event = put(cloud, "a.jpg", forced=forced)
    good = cloud.answers["DetectLabels"]

    def second_comes(_parameters: dict[str, Any]) -> Any:
        with pytest.raises(Unfinished, match="copy_in_progress"):
            cloud.ingest(by_hand(event) if hand else event, context=called("second"))
        return good

    cloud.answers["DetectLabels"] = second_comes
    cloud.ingest(event, context=called("first"))
    cloud.ingest(event, context=called("second"))
    assert statuses(cloud, "a.jpg") == ["done"]
    assert (len(cloud.asked), cloud.usage().analyses, cloud.usage().pictures) == (1, 1, 1)
    assert claims(cloud) == []


def test_a_second_delivery_goes_on_with_what_the_first_has_counted_and_not_got(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    good = cloud.answers["DetectLabels"]

    def first(**_context: Any) -> None:
        cloud.s3.meta.events.unregister("before-call.s3.GetObject", unique_id="first")
        cloud.answers["DetectLabels"] = THROTTLED
        with pytest.raises(Unfinished, match="throttled"):
            cloud.ingest(event, limit="1", context=called("first"))
        cloud.answers["DetectLabels"] = good

    cloud.s3.meta.events.register_first("before-call.s3.GetObject", first, unique_id="first")
    cloud.ingest(event, limit="1", context=called("second"))
    assert statuses(cloud, "a.jpg") == ["done"]
    assert (cloud.usage().analyses, cloud.usage().pictures, claims(cloud)) == (1, 1, [])


def test_a_repeat_of_lambdas_takes_over_from_the_run_that_was_stopped(cloud: Cloud) -> None:
    """And anyone does, once Lambda must have stopped it."""

    def stopped(_parameters: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    good = cloud.answers["DetectLabels"]
    events = [cloud.put(f"{number}.jpg", picture(number)) for number in range(2)]
    for event in events:
        cloud.answers["DetectLabels"] = stopped
        with pytest.raises(KeyboardInterrupt):
            cloud.ingest(event, context=called("first"))
        cloud.answers["DetectLabels"] = good
    cloud.ingest(events[0], context=called("first"))
    cloud.now += timedelta(seconds=timeouts.TIMEOUT_S)
    cloud.ingest(by_hand(events[1]), context=called("second"))
    assert (cloud.slept, statuses(cloud, "0.jpg", "1.jpg")) == ([], ["done", "done"])
    assert cloud.usage().analyses == 2


def test_a_claim_that_is_given_back_says_since_when(cloud: Cloud) -> None:
    """So it can be removed long after that; until then it tells what is counted."""
    cloud.answers["DetectLabels"] = "InternalServerError"
    with pytest.raises(Unfinished, match="rekognition"):
        cloud.ingest(cloud.put("a.jpg", picture(1)))
    (claim,) = claims(cloud)
    assert int(claim["endsAt"]["N"]) == int(cloud.now.timestamp())
    assert claim["counted"] == {"L": [{"S": "labels"}]}


def test_the_claim_of_a_run_that_is_over_is_taken_and_not_counted_again(cloud: Cloud) -> None:
    held(cloud, ends_in_s=-1)
    cloud.ingest(cloud.put("copy.jpg", picture(1)), limit="1")
    assert (statuses(cloud, "copy.jpg"), len(cloud.asked), cloud.usage().analyses) == (["done"], 1, 0)
    assert claims(cloud) == []
