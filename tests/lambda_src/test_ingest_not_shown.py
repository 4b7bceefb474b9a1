"""S3 says "not found" for what is there: nothing of it is given up; what is gone is final all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ingest import timeouts
from ingest.app import Unfinished
from tests.lambda_src.test_ingest_retry import by_hand, item_of, version_of

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

Event = dict[str, Any]


def hide(cloud: Cloud) -> None:
    """From now on S3 finds no object; its lists of versions show them."""
    cloud.fail(cloud.s3, "GetObject", 404, "NoSuchKey")
    cloud.fail(cloud.s3, "HeadObject", 404, "404")


def show(cloud: Cloud) -> None:
    cloud.heal(cloud.s3, "GetObject")
    cloud.heal(cloud.s3, "HeadObject")


def now(cloud: Cloud, event: Event, **later: float) -> None:
    """It is so much later than the event."""
    at = datetime.fromisoformat(event["Records"][0]["eventTime"])
    cloud.now = at + timedelta(**later)


def result(cloud: Cloud, key: str) -> tuple[str, str, bool]:
    item = item_of(cloud, key)
    error = item.get("error", {"code": "", "retryable": False})
    return item["status"], error["code"], error["retryable"]


NOT_YET = ("failed", "not_shown", True)
GONE = ("failed", "gone", False)
DONE = ("done", "", False)


def test_a_picture_that_s3_shows_late_is_waited_for_within_the_run(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    hide(cloud)
    cloud.while_asleep = lambda: show(cloud) if len(cloud.slept) == 4 else None
    cloud.ingest(event)
    assert result(cloud, "a.jpg") == DONE
    assert cloud.operations == ["DetectLabels"]


def test_then_it_is_left_to_lambdas_next_attempts(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    hide(cloud)
    for _ in range(2):
        with pytest.raises(Unfinished, match="not_shown: S3 does not show the picture yet"):
            cloud.ingest(event)
        assert result(cloud, "a.jpg") == NOT_YET
    show(cloud)
    cloud.ingest(event)
    assert result(cloud, "a.jpg") == DONE


def test_waiting_leaves_time_for_the_whole_analysis(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    hide(cloud)
    with pytest.raises(Unfinished):
        cloud.ingest(event)
    left_s = timeouts.TRYING_S - sum(cloud.slept)
    assert cloud.slept
    assert left_s >= timeouts.READING_S + timeouts.ASKING_S + timeouts.STORING_S


def test_what_the_list_of_versions_shows_is_never_given_up(cloud: Cloud, pictures: SimpleNamespace) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.put("a.jpg.png", pictures.png())
    hide(cloud)
    now(cloud, event, hours=6)
    with pytest.raises(Unfinished):
        cloud.ingest(event)
    assert result(cloud, "a.jpg") == NOT_YET


@pytest.mark.parametrize(("seconds", "told"), [(0, NOT_YET), (899, NOT_YET), (900, GONE)])
def test_what_nothing_shows_is_gone_after_15_minutes(
    cloud: Cloud, pictures: SimpleNamespace, seconds: int, told: tuple[str, str, bool]
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.put("a.jpg.png", pictures.png())
    cloud.delete("a.jpg", version_of(event))
    now(cloud, event, seconds=seconds)
    if told == NOT_YET:
        with pytest.raises(Unfinished):
            cloud.ingest(event)
    else:
        cloud.ingest(event)
    assert result(cloud, "a.jpg") == told


def under_a_marker(cloud: Cloud, _pictures: SimpleNamespace, _event: Event) -> None:
    cloud.delete("a.jpg")


def under_a_newer_version(cloud: Cloud, pictures: SimpleNamespace, _event: Event) -> None:
    cloud.put("a.jpg", pictures.jpeg())


def removed_under_a_marker(cloud: Cloud, _pictures: SimpleNamespace, event: Event) -> None:
    cloud.delete("a.jpg")
    cloud.delete("a.jpg", version_of(event))


@pytest.mark.parametrize("happens", [under_a_marker, under_a_newer_version, removed_under_a_marker])
def test_what_something_newer_lies_on_is_gone_at_once(
    cloud: Cloud, pictures: SimpleNamespace, happens: Callable[[Cloud, SimpleNamespace, Event], None]
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    happens(cloud, pictures, event)
    hide(cloud)
    now(cloud, event, seconds=1)
    cloud.ingest(event)
    assert result(cloud, "a.jpg") == GONE
    assert cloud.slept == []


def test_what_is_older_proves_nothing(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.put("a.jpg", pictures.jpeg())
    event = cloud.put("a.jpg", pictures.jpeg())
    cloud.delete("a.jpg", version_of(event))
    event["Records"][0]["eventTime"] = "2100-01-01T00:00:00.000Z"
    now(cloud, event, seconds=1)
    with pytest.raises(Unfinished):
        cloud.ingest(event)
    assert result(cloud, "a.jpg") == NOT_YET


@pytest.mark.parametrize("time", [None, "", "soon", 5])
def test_an_event_without_a_time_is_decided_by_the_list_alone(
    cloud: Cloud, pictures: SimpleNamespace, time: object
) -> None:
    there, gone = cloud.put("a.jpg", pictures.jpeg()), cloud.put("b.jpg", pictures.jpeg())
    cloud.delete("b.jpg", version_of(gone))
    for event in (there, gone):
        event["Records"][0]["eventTime"] = time
    hide(cloud)
    with pytest.raises(Unfinished):
        cloud.ingest(there)
    cloud.ingest(gone)
    assert (result(cloud, "a.jpg"), result(cloud, "b.jpg")) == (NOT_YET, GONE)


def test_a_second_picture_of_a_key_is_not_passed_over(cloud: Cloud, pictures: SimpleNamespace) -> None:
    """HeadObject finds nothing, which is no proof that yet another one has taken its place."""
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg(100, 100)))
    event = cloud.put("a.jpg", pictures.jpeg(200, 200))
    cloud.fail(cloud.s3, "HeadObject", 404, "404")
    cloud.ingest(event)
    assert item_of(cloud, "a.jpg")["width"] == 200


@pytest.mark.parametrize("shown", ["nothing", "older"])
def test_a_second_picture_that_not_even_the_list_shows_is_tried_again(
    cloud: Cloud, pictures: SimpleNamespace, shown: str
) -> None:
    """An older picture on top is no proof either that another one has taken its place."""
    old = cloud.put("a.jpg", pictures.jpeg(100, 100))
    cloud.ingest(old)
    event = cloud.put("a.jpg", pictures.jpeg(200, 200))
    event["Records"][0]["eventTime"] = "2100-01-01T00:00:00.000Z"
    now(cloud, event, seconds=1)
    cloud.delete("a.jpg", version_of(event))
    if shown == "nothing":
        cloud.delete("a.jpg", version_of(old))
    with pytest.raises(Unfinished):
        cloud.ingest(event)
    assert result(cloud, "a.jpg") == NOT_YET
    now(cloud, event, minutes=15)
    cloud.ingest(event)
    assert result(cloud, "a.jpg") == GONE


def test_the_picture_below_a_removed_version_keeps_its_result(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    old, new = cloud.put("a.jpg", pictures.jpeg(100, 100)), cloud.put("a.jpg", pictures.jpeg(200, 200))
    cloud.ingest(new)
    removal = cloud.delete("a.jpg", version_of(new))
    cloud.fail(cloud.s3, "HeadObject", 404, "404")
    cloud.ingest(removal)
    assert item_of(cloud, "a.jpg")["versionId"] == version_of(old)


def test_who_may_not_list_versions_is_told_so_and_nothing_is_given_up(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    event = cloud.put("a.jpg", pictures.jpeg())
    hide(cloud)
    cloud.fail(cloud.s3, "ListObjectVersions", 403, "AccessDenied")
    with pytest.raises(Unfinished, match=r"not allowed: s3:ListBucketVersions\."):
        cloud.ingest(event)
    assert result(cloud, "a.jpg") == ("failed", "access_denied", True)


def test_by_hand_it_is_kept_too(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.put("a.jpg", pictures.jpeg())
    again = by_hand(cloud, "a.jpg")
    hide(cloud)
    with pytest.raises(Unfinished):
        cloud.ingest(again)
    assert result(cloud, "a.jpg") == NOT_YET
    show(cloud)
    cloud.ingest(again)
    assert result(cloud, "a.jpg") == DONE


@pytest.mark.parametrize("happens", [under_a_marker, under_a_newer_version])
def test_what_was_gone_and_shows_again_gets_its_result(
    cloud: Cloud, pictures: SimpleNamespace, happens: Callable[[Cloud, SimpleNamespace, Event], None]
) -> None:
    """What lay on it is removed for good before its own event came."""
    event = cloud.put("a.jpg", pictures.jpeg())
    happens(cloud, pictures, event)
    hide(cloud)
    cloud.ingest(event)
    assert result(cloud, "a.jpg") == GONE
    show(cloud)
    listed = cloud.s3.list_object_versions(Bucket="imgpipe-uploads-123456789012-eu-west-1-an")
    entries = (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ()))
    (on_top,) = [entry["VersionId"] for entry in entries if entry["IsLatest"]]
    cloud.ingest(cloud.delete("a.jpg", on_top))
    assert result(cloud, "a.jpg") == DONE
    assert item_of(cloud, "a.jpg")["versionId"] == version_of(event)
