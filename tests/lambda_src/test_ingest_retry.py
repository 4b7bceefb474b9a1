"""What `imgpipe retry` sends: a picture is looked at again, nothing is paid twice or put over a newer one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.diagnose.retry.calling import event_of
from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent, entry_of
from imgpipe_cli.diagnose.retry.judging import Current, Picture
from ingest.app import Unfinished
from shared.events import Arrival, Unreadable, comparable_sequencer, parse_event

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

NAMES = Names("imgpipe", "123456789012", "eu-west-1")
Event = dict[str, Any]


def by_hand(cloud: Cloud, key: str, *events: FailedEvent) -> Event:
    """What `imgpipe retry` sends for the object that the key stands for now."""
    head = cloud.s3.head_object(Bucket=NAMES.bucket, Key=key)
    current = Current(
        head.get("VersionId"), head["ETag"].strip('"'), head["ContentLength"], head["LastModified"]
    )
    event = event_of(Picture(key, "failed", current=current, events=events), NAMES)
    return dict(json.loads(json.dumps(event)))


def item_of(cloud: Cloud, key: str) -> dict[str, Any]:
    item = cloud.stored(key)
    assert item is not None
    return item


def version_of(event: Event) -> str:
    return str(event["Records"][0]["s3"]["object"]["versionId"])


def queued(event: Event) -> tuple[FailedEvent, ...]:
    """The event as it stands in the failure queue."""
    body = {"requestPayload": event, "responsePayload": {"errorMessage": "Task timed out"}}
    return entry_of({"MessageId": "m", "ReceiptHandle": "r", "Body": json.dumps(body)}).events


@pytest.mark.parametrize("key", ["a.jpg", "a b+c%2B#?.jpg", "ü/日本 &=.jpg", "100%.jpg"])
def test_the_key_and_the_version_arrive_as_they_are(
    cloud: Cloud, pictures: SimpleNamespace, key: str
) -> None:
    event = cloud.put(key, pictures.jpeg())
    (record,) = parse_event(by_hand(cloud, key))
    assert isinstance(record, Arrival)
    assert (record.bucket, record.key, record.version_id) == (NAMES.bucket, key, version_of(event))
    assert record.by_hand
    cloud.ingest(by_hand(cloud, key))
    assert item_of(cloud, key)["status"] == "done"


def test_no_event_of_s3s_is_one_by_hand(cloud: Cloud, pictures: SimpleNamespace) -> None:
    """Whatever an uploader may choose: the key, the metadata, the type."""
    cloud.s3.put_object(
        Bucket=NAMES.bucket, Key="imgpipe", Body=pictures.jpeg(), Metadata={"imgpipe": "retry"}
    )
    for key in ("imgpipe", '"imgpipe":"retry"', "imgpipe=retry"):
        (record,) = parse_event(cloud.put(key, pictures.jpeg()))
        assert isinstance(record, Arrival)
        assert not record.by_hand


def test_a_final_failure_is_asked_again_by_hand_only(cloud: Cloud, pictures: SimpleNamespace) -> None:
    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = "InvalidImageFormatException"
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event)
    cloud.answers["DetectLabels"] = good
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["status"] == "failed"
    assert len(cloud.asked) == 1
    cloud.ingest(by_hand(cloud, "a.jpg"))
    assert item_of(cloud, "a.jpg")["status"] == "done"
    assert len(cloud.asked) == 2


def test_what_is_paid_is_not_asked_again(cloud: Cloud, pictures: SimpleNamespace) -> None:
    good = cloud.answers["DetectText"]
    cloud.answers["DetectText"] = "InvalidParameterException"
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="labels,text")
    cloud.answers["DetectText"] = good
    for _ in range(2):
        cloud.ingest(by_hand(cloud, "a.jpg"), features="labels,text")
    assert item_of(cloud, "a.jpg")["status"] == "done"
    assert cloud.operations == ["DetectLabels", "DetectText", "DetectText"]


def test_a_done_picture_is_left_alone(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    before = item_of(cloud, "a.jpg")
    cloud.now += timedelta(hours=1)
    cloud.ingest(by_hand(cloud, "a.jpg"))
    assert item_of(cloud, "a.jpg") == before
    assert len(cloud.asked) == 1


def test_a_picture_that_is_none_is_refused_again_without_being_asked_for(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.txt", b"no picture"))
    cloud.now += timedelta(hours=1)
    cloud.ingest(by_hand(cloud, "a.txt"))
    item = item_of(cloud, "a.txt")
    assert item["error"]["code"] == "unsupported_format"
    assert item["analyzedAt"].startswith("2026-11-22T19:30")
    assert cloud.asked == []


def test_a_failure_that_may_pass_is_stored_and_raised(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.put("a.jpg", pictures.jpeg())
    cloud.answers["DetectLabels"] = "ThrottlingException"
    with pytest.raises(Unfinished, match="throttled"):
        cloud.ingest(by_hand(cloud, "a.jpg"))
    assert item_of(cloud, "a.jpg")["error"]["retryable"]


def fails(cloud: Cloud, event: Event) -> int:
    """How many tries are left, by the result, after this one has failed."""
    with pytest.raises(Unfinished, match="throttled"):
        cloud.ingest(event)
    error = item_of(cloud, "a.jpg")["error"]
    assert ("No attempt is left" in error["hint"]) == (error["triesLeft"] == 0)
    return int(error["triesLeft"])


def test_a_failed_result_counts_the_tries_that_are_left(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = "ThrottlingException"
    event = cloud.put("a.jpg", pictures.jpeg())
    # A fourth is a second delivery of the same event.
    assert [fails(cloud, event) for _ in range(4)] == [2, 1, 0, 0]
    assert fails(cloud, cloud.put("a.jpg", pictures.jpeg())) == 2


def test_a_failure_of_before_they_were_counted_is_the_first(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = "ThrottlingException"
    event = cloud.put("a.jpg", pictures.jpeg())
    fails(cloud, event)
    older = item_of(cloud, "a.jpg")
    del older["error"]["triesLeft"]
    cloud.store(older.pop("objectKey"), older.pop("analyzedAt"), **older)
    assert fails(cloud, event) == 1


def test_a_call_by_hand_is_no_try_of_lambdas(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = "ThrottlingException"
    event = cloud.put("a.jpg", pictures.jpeg())
    assert fails(cloud, by_hand(cloud, "a.jpg")) == 0
    assert fails(cloud, event) == 2
    assert fails(cloud, by_hand(cloud, "a.jpg")) == 2
    assert [fails(cloud, event) for _ in range(2)] == [1, 0]
    assert fails(cloud, by_hand(cloud, "a.jpg")) == 0


@pytest.mark.parametrize("in_queue", [True, False])
def test_events_that_come_after_all_cost_nothing(
    cloud: Cloud, pictures: SimpleNamespace, *, in_queue: bool
) -> None:
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg(200, 200))
    cloud.ingest(old)
    cloud.ingest(by_hand(cloud, "a.jpg", *(queued(new) if in_queue else ())))
    cloud.ingest(old, new, old)
    item = item_of(cloud, "a.jpg")
    assert (item["versionId"], item["width"]) == (version_of(new), 200)
    assert len(cloud.asked) == 2


def test_the_sequencer_in_the_queue_keeps_late_events_of_older_versions_away(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(by_hand(cloud, "a.jpg", *queued(new)))
    sequencer = new["Records"][0]["s3"]["object"]["sequencer"]
    assert item_of(cloud, "a.jpg")["sequencer"] == comparable_sequencer(sequencer)
    cloud.ingest(old)
    assert item_of(cloud, "a.jpg")["versionId"] == version_of(new)
    assert len(cloud.asked) == 1


def test_the_current_version_counts_whatever_its_lost_event_was(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    """A newer version was deleted for good: what is current now is older than what is stored."""
    kept, newer = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg(200, 200))
    cloud.ingest(newer)
    removal = cloud.delete("a.jpg", version_of(newer))
    cloud.ingest(by_hand(cloud, "a.jpg"))
    assert item_of(cloud, "a.jpg")["versionId"] == version_of(kept)
    cloud.ingest(removal, newer)
    assert item_of(cloud, "a.jpg")["versionId"] == version_of(kept)


def test_an_upload_after_it_counts(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(by_hand(cloud, "a.jpg"))
    newest = cloud.put("a.jpg", pictures.jpeg(300, 300))
    cloud.ingest(newest)
    assert item_of(cloud, "a.jpg")["width"] == 300


def test_a_picture_overwritten_meanwhile_is_left_to_its_own_event(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.answers["DetectLabels"] = "InvalidImageFormatException"
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    sent = by_hand(cloud, "a.jpg")
    cloud.put("a.jpg", pictures.jpeg())
    before = item_of(cloud, "a.jpg")
    cloud.ingest(sent)
    assert item_of(cloud, "a.jpg") == before
    assert len(cloud.asked) == 1


def test_a_newer_result_is_never_overwritten(cloud: Cloud, pictures: SimpleNamespace) -> None:
    """It was sent before the newer version came, and arrives after that has its result."""
    cloud.put("a.jpg", pictures.jpeg())
    sent = by_hand(cloud, "a.jpg")
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg(200, 200)))
    cloud.ingest(sent)
    assert item_of(cloud, "a.jpg")["width"] == 200
    assert len(cloud.asked) == 1


def test_a_newer_result_that_comes_during_the_analysis_stays(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.put("a.jpg", pictures.jpeg(200, 200))
    sent = by_hand(cloud, "a.jpg")
    events = cloud.rekognition.meta.events

    def newer_comes(**_context: Any) -> None:
        events.unregister("before-call.rekognition.DetectLabels", unique_id="once")
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg(300, 300)))

    events.register_first("before-call.rekognition.DetectLabels", newer_comes, unique_id="once")
    cloud.ingest(sent)
    assert item_of(cloud, "a.jpg")["width"] == 300


@pytest.mark.parametrize("known", [True, False])
def test_a_picture_removed_meanwhile_stays_removed(
    cloud: Cloud, pictures: SimpleNamespace, *, known: bool
) -> None:
    """known: the event of the removal came before."""
    cloud.ingest(cloud.put("a.txt", b"no picture"))
    sent = by_hand(cloud, "a.txt")
    removal = cloud.delete("a.txt")
    if known:
        cloud.ingest(removal)
    before = item_of(cloud, "a.txt")
    cloud.ingest(sent)
    assert item_of(cloud, "a.txt") == before
    cloud.ingest(removal)
    assert item_of(cloud, "a.txt")["status"] == "removed"


def test_a_mark_of_a_removal_does_not_hide_a_picture_that_is_there(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(cloud.event("ObjectRemoved:Delete", "a.jpg"))
    cloud.ingest(by_hand(cloud, "a.jpg"))
    assert item_of(cloud, "a.jpg")["status"] == "done"


def test_without_versions_the_same_bytes_are_not_paid_twice(
    unversioned_cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud = unversioned_cloud
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.ingest(by_hand(cloud, "a.jpg"))
    assert len(cloud.asked) == 1
    cloud.put("a.jpg", pictures.jpeg(200, 200))
    cloud.ingest(by_hand(cloud, "a.jpg"))
    assert item_of(cloud, "a.jpg")["width"] == 200
    assert len(cloud.asked) == 2


def test_a_removal_that_failed_is_repeated_as_it_was(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    (failed,) = queued(cloud.delete("a.jpg"))
    assert failed.kind == "removal"
    picture = Picture("a.jpg", "failed", removals=(failed,))
    cloud.ingest(event_of(picture, NAMES))
    assert item_of(cloud, "a.jpg")["status"] == "removed"
    newer = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(newer)
    cloud.ingest(event_of(replace(picture, events=(failed,)), NAMES))
    assert item_of(cloud, "a.jpg")["status"] == "done"


# --- answers of an older model ---------------------------------------------------------------------


def again(cloud: Cloud, key: str, **models: str) -> Event:
    """What `imgpipe retry --again` sends where another model answers now: feature -> that of the answer."""
    event = by_hand(cloud, key)
    event["Records"][0]["again"] = models
    return event


def _newer(cloud: Cloud) -> None:
    cloud.answers["DetectLabels"] = {
        "Labels": [{"Name": "Newer", "Confidence": 91.0}],
        "LabelModelVersion": "4.0",
    }


def test_an_older_models_answer_is_replaced_and_the_others_stay(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="labels,faces")
    before = item_of(cloud, "a.jpg")
    _newer(cloud)
    event = again(cloud, "a.jpg", labels=before["models"]["labels"])
    cloud.asked.clear()
    cloud.ingest(event, features="labels,faces")
    after = item_of(cloud, "a.jpg")
    assert [label["Name"] for label in after["labels"]] == ["Newer"]
    assert after["models"]["labels"] == "4.0"
    assert (after["faces"], after["sequencer"]) == (before["faces"], before["sequencer"])
    assert cloud.operations == ["DetectLabels"]


def test_it_is_replaced_once_however_often_it_is_asked_for(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    _newer(cloud)
    event = again(cloud, "a.jpg", labels=item_of(cloud, "a.jpg")["models"]["labels"])
    cloud.asked.clear()
    for _ in range(3):
        cloud.ingest(event)
    assert cloud.operations == ["DetectLabels"]


def test_an_answer_that_cannot_be_replaced_stays(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    before = item_of(cloud, "a.jpg")
    event = again(cloud, "a.jpg", labels=before["models"]["labels"])
    cloud.answers["DetectLabels"] = "ThrottlingException"
    with pytest.raises(Unfinished):
        cloud.ingest(event)
    failed = item_of(cloud, "a.jpg")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "throttled")
    assert (failed["labels"], failed["models"]) == (before["labels"], before["models"])
    _newer(cloud)
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["models"] == {"labels": "4.0"}


def test_of_a_replaced_answer_nothing_counts_as_trimmed(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="labels,text")
    stored = item_of(cloud, "a.jpg")
    cloud.lose("a.jpg")
    cloud.store("a.jpg", stored["analyzedAt"], **{**stored, "trimmed": {"labels": 7, "text": 2}})
    _newer(cloud)
    cloud.ingest(again(cloud, "a.jpg", labels=stored["models"]["labels"]), features="labels,text")
    assert item_of(cloud, "a.jpg")["trimmed"] == {"text": 2}


def test_what_was_not_available_is_asked_for_once_it_is(cloud: Cloud, pictures: SimpleNamespace) -> None:
    there = cloud.answers["DetectModerationLabels"]
    cloud.answers["DetectModerationLabels"] = "ResourceNotReadyException"
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), features="labels,moderation")
    assert "moderation" in item_of(cloud, "a.jpg")["unavailable"]
    cloud.answers["DetectModerationLabels"] = there
    cloud.ingest(by_hand(cloud, "a.jpg"), features="labels,moderation")
    assert "moderation" in item_of(cloud, "a.jpg")["unavailable"]
    cloud.ingest(again(cloud, "a.jpg", moderation=""), features="labels,moderation")
    after = item_of(cloud, "a.jpg")
    assert "moderation" in after
    assert "unavailable" not in after


def test_only_a_record_by_hand_replaces_anything(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event)
    event["Records"][0]["again"] = item_of(cloud, "a.jpg")["models"]
    cloud.asked.clear()
    cloud.ingest(event)
    assert cloud.asked == []


@pytest.mark.parametrize("members", ["labels", ["labels"], {"labels": None}, {"labels": 3}, 7])
def test_a_record_that_names_no_models_is_unreadable(
    cloud: Cloud, pictures: SimpleNamespace, members: Any
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    event = by_hand(cloud, "a.jpg")
    event["Records"][0]["again"] = members
    (record,) = parse_event(event)
    assert isinstance(record, Unreadable)
