"""Events in any order, any number of times: the newest one decides, and a removed picture stays removed."""

from __future__ import annotations

import itertools
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ingest.app import Unfinished
from ingest.history import Skip, plan

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

Event = dict[str, Any]


def version_of(event: Event) -> str:
    return str(event["Records"][0]["s3"]["object"]["versionId"])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_ends_with_the_newest_event(
    cloud: Cloud, pictures: SimpleNamespace, order: tuple[int, ...]
) -> None:
    events = [
        cloud.put("a.jpg", pictures.jpeg(100, 100)),
        cloud.put("a.jpg", pictures.jpeg(200, 200)),
        cloud.delete("a.jpg"),
        cloud.put("a.jpg", pictures.jpeg(300, 300)),
    ]
    for place in order:
        cloud.ingest(events[place])
        cloud.ingest(events[place])
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["width"]) == ("done", 300)
    assert len(cloud.asked) <= 3


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("versioned", [True, False])
def test_a_removed_picture_is_never_resurrected(
    unversioned_cloud: Cloud, pictures: SimpleNamespace, order: tuple[int, ...], *, versioned: bool
) -> None:
    cloud = unversioned_cloud
    if versioned:
        cloud.s3.put_bucket_versioning(
            Bucket="imgpipe-uploads-123456789012-eu-west-1-an", VersioningConfiguration={"Status": "Enabled"}
        )
    events = [
        cloud.put("a.jpg", pictures.jpeg()),
        cloud.put("a.jpg", pictures.jpeg(200, 200)),
        cloud.delete("a.jpg"),
    ]
    for place in order:
        cloud.ingest(events[place])
    item = cloud.stored("a.jpg")
    assert item is not None and item.pop("indexedAt")
    assert item == {
        "objectKey": "a.jpg",
        "status": "removed",
        "sequencer": events[2]["Records"][0]["s3"]["object"]["sequencer"].ljust(32, "0"),
        "expiresAt": int((cloud.now + timedelta(days=7)).timestamp()),
        "indexed": [],
    }
    assert cloud.rows() == set()


def test_a_tombstone_leaves_the_index(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.ingest(cloud.delete("a.jpg"))
    assert cloud.indexed() == []


def test_an_upload_after_a_removal_counts(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.ingest(cloud.delete("a.jpg"))
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["status"] == "done"
    assert "expiresAt" not in item


def test_deleting_the_stored_version_removes_the_result(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(event)
    gone = cloud.delete("a.jpg", version_of(event))
    cloud.ingest(gone, gone, event)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["status"] == "removed"


def test_deleting_another_version_removes_nothing(cloud: Cloud, pictures: SimpleNamespace) -> None:
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(old, new)
    cloud.ingest(cloud.delete("a.jpg", version_of(old)))
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["versionId"]) == ("done", version_of(new))


def test_a_version_deleted_before_it_arrives_gets_no_failure(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(cloud.delete("a.jpg", version_of(event)))
    cloud.ingest(event)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["status"] == "removed"
    assert cloud.asked == []


def test_an_old_version_deleted_first_does_not_stop_the_new_one(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    """Both arrivals are late; the new picture is alive and must get its result."""
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg(200, 200))
    cloud.ingest(cloud.delete("a.jpg", version_of(old)))
    cloud.ingest(new)
    cloud.ingest(old)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["width"]) == ("done", 200)


def test_a_picture_that_is_gone_without_a_word_is_a_failure(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.delete("a.jpg", version_of(event))
    cloud.now += timedelta(minutes=15)  # before that S3 may just not show it yet
    cloud.ingest(event)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["error"]["code"], item["error"]["retryable"]) == ("failed", "gone", False)
    assert item["sizeBytes"] == len(pictures.jpeg())


def test_a_gone_version_leaves_the_older_result(cloud: Cloud, pictures: SimpleNamespace) -> None:
    """With the newer version deleted for good, the older one is the picture again."""
    old, new = cloud.put("a.jpg", pictures.jpeg()), cloud.put("a.jpg", pictures.jpeg())
    cloud.ingest(old)
    cloud.ingest(cloud.delete("a.jpg", version_of(new)))
    cloud.ingest(new)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert (item["status"], item["versionId"]) == ("done", version_of(old))


def test_a_removal_during_the_analysis_wins(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())

    def remove_it(**_context: Any) -> None:
        cloud.ingest(cloud.delete("a.jpg", version_of(event)))

    cloud.rekognition.meta.events.register_first("before-call.rekognition.DetectLabels", remove_it)
    cloud.ingest(event)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["status"] == "removed"


def test_a_result_stored_during_its_removal_is_removed(cloud: Cloud, pictures: SimpleNamespace) -> None:
    """The removal looks, finds nothing, and before it writes the result comes in: it must look again."""
    event = cloud.put("a.jpg", pictures.jpeg())
    removal = cloud.delete("a.jpg", version_of(event))

    def result_comes_in(**_context: Any) -> None:
        cloud.results_client.meta.events.unregister(write, unique_id="once")
        with pytest.raises(Unfinished):
            cloud.ingest(event)

    write = f"before-call.*.{cloud.operation('write')}"
    cloud.results_client.meta.events.register_first(write, result_comes_in, unique_id="once")
    cloud.ingest(removal)
    item = cloud.stored("a.jpg")
    assert item is not None
    assert item["status"] == "removed"


def test_the_null_version_is_told_apart_by_its_sequencer(cloud: Cloud) -> None:
    """A bucket whose versions were suspended calls every new object "null"."""
    from ingest.history import tombstone
    from shared.events import Arrival, Removal

    stored: Any = {"status": "done", "sequencer": "2" * 32, "versionId": "null", "labels": [], "models": {}}
    arrival = Arrival(bucket="b", key="a", version_id="null", etag="", sequencer="3" * 32, size_bytes=1)
    assert not isinstance(plan(arrival, stored, ["labels"]), Skip)
    removal = Removal(bucket="b", key="a", version_id="null", sequencer="1" * 32)
    assert tombstone(removal, stored) is None
