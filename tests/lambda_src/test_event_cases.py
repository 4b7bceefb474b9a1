"""Single histories worth a name: what the search in `test_event_histories.py` found, and what was decided."""

from __future__ import annotations

import unicodedata

import pytest

from shared.index_rows import entries, row_of
from tests.lambda_src.event_history import Beside, Delivery, Event, History, How, Place, Trouble
from tests.support.function_cloud import Cloud
from tests.support.picture_heads import jpeg


@pytest.fixture
def history(cloud: Cloud) -> History:
    return History(cloud, "cases")


def deliver(history: History, *events: Event) -> None:
    """One attempt of each event, in this order."""
    for event in events:
        history.deliver(of(history, event))


def of(history: History, event: Event) -> Delivery:
    return next(one for one in history.waiting if one.events[0] is event)


def end(history: History) -> None:
    history.run_out()
    assert not history.failed
    history.check_end()


KEY = "cases/a.jpg"


def test_an_undeleted_picture_gets_its_result_again(history: History) -> None:
    """S3 says only that the marker was deleted. The result went with the picture and is paid anew."""
    deliver(history, history.put("a.jpg"), history.delete("a.jpg"))
    assert history.cloud.results.get(KEY) is None
    history.delete_for_good("a.jpg")
    end(history)
    assert list(history.billed.values()) == [2]


def test_the_version_below_a_deleted_one_gets_its_result_again(history: History) -> None:
    deliver(history, history.put("a.jpg"), history.put("a.jpg"))
    history.delete_for_good("a.jpg")
    end(history)
    assert sorted(history.billed.values()) == [1, 2]


def test_an_undeleted_picture_whose_result_was_not_removed_yet_is_not_paid_again(history: History) -> None:
    put, marker, undelete = (
        history.put("a.jpg"),
        history.delete("a.jpg"),
        history.delete_for_good("a.jpg"),
    )
    deliver(history, put, undelete, marker)
    end(history)
    assert list(history.billed.values()) == [1]


def test_a_removal_before_the_arrival_is_the_end_of_it(history: History) -> None:
    put, marker = history.put("a.jpg"), history.delete("a.jpg")
    deliver(history, marker, put)
    end(history)
    assert not history.billed


def test_all_versions_deleted_for_good_before_an_arrival_leave_no_failure(history: History) -> None:
    late = [history.put("a.jpg"), history.put("a.jpg")]
    deliver(history, history.delete_for_good("a.jpg", 0), history.delete_for_good("a.jpg"))
    deliver(history, *late)
    end(history)
    assert history.cloud.results.get(KEY) is None
    assert not history.billed


@pytest.mark.parametrize("late_is_last", [True, False])
def test_a_version_seen_before_its_own_event_is_not_replaced_by_a_late_one(
    history: History, *, late_is_last: bool
) -> None:
    """The removal finds the newest version; the event of one in between comes after that."""
    first, removal = history.put("a.jpg"), history.delete_for_good("a.jpg")
    late, newest = history.put("a.jpg"), history.put("a.jpg")
    deliver(history, removal, *((newest, late) if late_is_last else (late, newest)), first)
    end(history)
    assert list(history.billed.values()) == [1]


def test_a_late_event_never_follows_a_newer_version_sent_by_hand(history: History) -> None:
    """What was sent by hand has no sequencer, and the picture was deleted before the late event came."""
    old, new = history.put("a.jpg"), history.put("a.jpg")
    history.replay(new)
    history.deliver(history.waiting[-1])
    marker = history.delete("a.jpg")
    deliver(history, old, new, marker)
    end(history)
    assert list(history.billed.values()) == [1]


def test_the_same_bytes_again_are_paid_once(history: History) -> None:
    """By their SHA-256, not by their ETag: it is an MD5, and two files can be made to share one."""
    one, two = history.put("a.jpg", jpeg()), history.put("a.jpg", jpeg())
    assert one["Records"][0]["s3"]["object"]["eTag"] == two["Records"][0]["s3"]["object"]["eTag"]
    end(history)
    assert list(history.billed.values()) == [1]


def test_keys_that_look_alike_are_two_pictures(history: History) -> None:
    composed = "caf\u00e9.jpg"
    history.put(composed)
    history.put(unicodedata.normalize("NFD", composed))
    end(history)
    assert len(history.versions) == 2
    assert list(history.billed.values()) == [1, 1]


@pytest.mark.parametrize("place", ["read", "picture", "labels", "write"])
def test_two_copies_at_once_pay_at_most_twice_and_keep_one_result(history: History, place: Place) -> None:
    """No claim is written before paying: see docs/decisions/no-claim.md."""
    event = history.put("a.jpg")
    copy = Delivery([event])
    history.waiting.append(copy)
    history.deliver(of(history, event), Beside(place=place, delivery=copy))
    end(history)
    assert list(history.billed.values()) == [1 if place in ("read", "picture") else 2]


def test_two_copies_at_once_keep_what_either_was_told(history: History) -> None:
    """One is refused the faces, the other the labels; together they have both, and nothing is paid again."""
    history.features = "labels,faces"
    event = history.put("a.jpg")
    copy = Delivery([event])
    history.waiting.append(copy)
    no_labels = Trouble(place="labels", how="throttled")
    no_faces = Trouble(place="faces", how="throttled")
    history.deliver(of(history, event), no_labels, Beside(place="write", delivery=copy, troubles=(no_faces,)))
    assert list(history.billed.values()) == [1, 1]
    end(history)
    assert list(history.billed.values()) == [1, 1]


def test_two_retries_at_once_of_a_failure_keep_what_either_was_told(history: History) -> None:
    """Both put a failure of the same version and event over the same failure."""
    history.features = "labels,faces"
    event = history.put("a.jpg")
    no_labels = Trouble(place="labels", how="throttled")
    no_faces = Trouble(place="faces", how="throttled")
    history.deliver(of(history, event), no_labels, no_faces)
    copy = Delivery([event])
    history.waiting.append(copy)
    history.deliver(of(history, event), no_labels, Beside(place="write", delivery=copy, troubles=(no_faces,)))
    end(history)
    assert list(history.billed.values()) == [1, 1]


@pytest.mark.parametrize("how", ["killed after", "lost"])
def test_what_was_paid_and_stored_is_not_paid_again_after_a_stop(history: History, how: How) -> None:
    event = history.put("a.jpg")
    last = 2 if history.cloud.kind == "bucket" else 1  # the entry of the index comes first
    history.deliver(of(history, event), Trouble(place="write", how=how, nth=last))
    end(history)
    assert list(history.billed.values()) == [1]


@pytest.mark.parametrize("come", ["in order", "the other way round"])
def test_a_result_made_by_hand_outlives_the_late_events_of_before(history: History, come: str) -> None:
    """The old version was removed; that, and the next version, are told of only after it was asked for."""
    deliver(history, history.put("a.jpg"))
    late = [history.delete("a.jpg"), history.put("a.jpg")]
    assert history.by_hand(KEY)
    deliver(history, *(late if come == "in order" else reversed(late)))
    end(history)
    assert list(history.billed.values()) == [1, 1]


def test_a_result_made_by_hand_outlives_a_late_removal_though_its_own_event_is_lost(
    history: History,
) -> None:
    deliver(history, history.put("a.jpg"))
    removal = history.delete("a.jpg")
    history.lose(of(history, history.put("a.jpg")))
    assert history.by_hand(KEY)
    deliver(history, removal)
    assert not history.unknown
    end(history)
    assert list(history.billed.values()) == [1, 1]


def test_a_removal_after_a_result_made_by_hand_counts(history: History) -> None:
    history.lose(of(history, history.put("a.jpg")))
    assert history.by_hand(KEY)
    deliver(history, history.delete("a.jpg"))
    end(history)
    assert history.cloud.results.get(KEY) is None


def test_what_was_made_by_hand_and_removed_late_is_not_paid_again_once_it_is_overwritten(
    history: History,
) -> None:
    """The removal of an older version takes its result, since a newer version is there."""
    late = [history.put("a.jpg"), history.delete("a.jpg"), history.put("a.jpg")]
    assert history.by_hand(KEY)
    newest = history.put("a.jpg")
    deliver(history, *late, newest)
    end(history)
    assert list(history.billed.values()) == [1, 1]


def test_a_folder_that_shows_again_gets_no_result(history: History) -> None:
    deliver(history, history.put("pics/", b""), history.delete("pics/"), history.delete_for_good("pics/"))
    assert history.cloud.results.get("cases/pics/") is None
    assert not history.billed


def test_rekognition_down_for_longer_than_all_attempts(history: History) -> None:
    event = history.put("a.jpg")
    for _ in range(3):
        history.deliver(of(history, event), Trouble(place="labels", how="broken"))
    assert len(history.failed) == 1
    item = history.item(KEY)
    assert item and item["status"] == "failed" and item["error"]["retryable"]
    history.check_end()
    history.redrive()
    history.check_final(KEY)
    assert list(history.billed.values()) == [1]


def test_a_record_that_waits_keeps_none_behind_it_from_its_result(history: History) -> None:
    """S3 shows nothing of a picture that was deleted for good, and for a quarter of an hour that may pass."""
    one, two = history.put("gone.jpg"), history.put("a.jpg")
    history.delete_for_good("gone.jpg")
    history.waiting = [Delivery([one, two])]
    history.run_out()
    item = history.item(KEY)
    assert item and item["status"] == "done"
    history.redrive()
    gone = history.item("cases/gone.jpg")
    assert gone and gone["status"] == "failed" and gone["error"]["code"] == "gone"


def test_a_removal_behind_the_arrival_of_what_is_gone_counts(history: History) -> None:
    """In one event; the arrival is tried again in vain each time, since S3 shows nothing of it."""
    history.put("a.jpg")
    history.delete_for_good("a.jpg")
    history.several_in_one()
    history.run_out()
    assert history.cloud.results.get(KEY) is None


@pytest.mark.parametrize("lost", [True, False])
def test_a_result_that_is_not_found_is_retried_until_it_is(history: History, *, lost: bool) -> None:
    """DynamoDB refuses the rows at each of Lambda's tries, and once more by hand; they cost no analysis."""
    no_rows = Trouble(place="rows", how="denied")
    event = history.put("a.jpg")
    if lost:
        history.lose(of(history, event))
    for _ in range(0 if lost else 3):
        history.deliver(of(history, event), no_rows)
    assert len(history.failed) == (0 if lost else 1)
    assert history.by_hand(KEY, no_rows)
    assert len(history.failed) == (0 if lost else 1)
    assert history.by_hand(KEY)
    assert not history.by_hand(KEY)
    end(history)
    assert list(history.billed.values()) == [1]
    item = history.item(KEY)
    assert item and "notIndexed" not in item


def test_rows_whose_removal_stopped_halfway_are_there_for_the_next_picture(history: History) -> None:
    """The removed picture still lists rows that are gone, and the next one of its name has exactly these."""
    too_small = jpeg(40, 40)  # it is found by its name only
    deliver(history, history.put("a.jpg", too_small))
    removal = history.delete_for_good("a.jpg")
    history.deliver(of(history, removal), Trouble(place="old rows", how="lost", nth=2))
    history.put("a.jpg", too_small)
    end(history)


@pytest.mark.parametrize("how", ["throttled", "killed before"])
@pytest.mark.parametrize("is_removed", [True, False], ids=["a removal", "another picture"])
def test_rows_that_were_not_removed_go_at_the_next_try(
    history: History, how: How, *, is_removed: bool
) -> None:
    """Else labels would count them until the next picture of the name."""
    deliver(history, history.put("a.jpg"))
    event = history.delete_for_good("a.jpg") if is_removed else history.put("a.jpg", jpeg(40, 40))
    history.deliver(of(history, event), Trouble(place="old rows", how=how))

    def left() -> set[tuple[str, str, str]]:
        item = history.cloud.results.get(KEY)
        return history.cloud.rows() - {
            (*row_of(entry, KEY), KEY) for entry in (entries(item) if item else ())
        }

    assert left()
    end(history)
    assert not left()
