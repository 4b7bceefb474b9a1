"""The pictures that retry finds failed, pending or gone, of the failure queue and of the bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from imgpipe_cli.diagnose.retry import failures
from imgpipe_cli.diagnose.retry.failures import Places
from imgpipe_cli.diagnose.retry.judging import Current, judged
from imgpipe_cli.diagnose.retry.retrying import clear
from tests.functional.retry.conftest import CAT, Account, retry, survey


def test_the_old_failure_of_a_picture_that_is_gone_is_told_only_to_those_who_ask(
    account: Account, places: Places
) -> None:
    account.lambda_.run(account.put("a.txt", b"no picture"))
    account.delete("a.txt")
    assert survey(places, account) == {}
    told = survey(places, account, "a.txt")["a.txt"]
    assert (told.state, told.code) == ("gone", "removed")


def test_what_nobody_noticed_is_found_when_it_is_asked_for(account: Account, places: Places) -> None:
    """No event came: of the only version, or of the newest one."""
    account.put("lost.jpg")
    account.lambda_.run(account.put("done.jpg"))
    account.lambda_.run(account.put("stale.jpg"))
    account.put("stale.jpg", CAT + b"more")
    account.put("pics/", b"")
    assert survey(places, account) == {}
    long_ago = failures.survey(places, (), (), missing=True)
    assert {one.key: (one.state, one.code) for one in long_ago} == {
        "lost.jpg": ("pending", "no_event_yet"),
        "stale.jpg": ("pending", "no_event_yet"),
        "pics/": ("nothing", "folder"),
    }


def test_a_folder_needs_nothing(account: Account, places: Places) -> None:
    account.put("pics/", b"")
    now = datetime.now(UTC)
    folder = Current("v1", "e", 0, now - timedelta(days=1))
    assert survey(places, account, "pics/")["pics/"].state == "nothing"
    assert judged("pics/", folder, None, (), now).state == "nothing"
    assert judged("pics/", replace(folder, size_bytes=1), None, (), now).state == "failed"


def test_a_picture_that_cannot_be_read_is_unknown_and_the_others_go_on(
    account: Account, places: Places
) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    account.refuse_read = lambda key: key == "a.jpg"
    assert {key: one.state for key, one in survey(places, account).items()} == {
        "a.jpg": "unknown",
        "b.jpg": "failed",
    }
    outcomes, cleared = retry(places, account)
    assert {key: one.state for key, one in outcomes.items()} == {"b.jpg": "done"}
    assert cleared.taken == 1


def test_a_picture_that_s3_shows_late_is_kept(account: Account, places: Places) -> None:
    """HeadObject finds nothing, and the lists do: it is no picture that was removed."""
    account.queue(account.put("a.jpg"))
    account.put("b.jpg")
    account.put("b.jpg.png")
    account.shows_late = True
    assert clear(places, account.url, None).taken == 0
    missing = {one.key: one for one in failures.survey(places, (), (), missing=True)}
    assert {one.state for one in missing.values()} == {"pending"}
    assert sorted(missing) == ["a.jpg", "b.jpg", "b.jpg.png"]
    outcomes, cleared = retry(places, account, "a.jpg")
    assert (outcomes["a.jpg"].state, cleared.taken, account.lambda_.waiting()) == ("done", 1, 0)


def test_a_removed_picture_is_none_that_s3_shows_late(account: Account, places: Places) -> None:
    account.put("a.jpg.png")
    account.queue(account.put("a.jpg"))
    account.delete("a.jpg")
    account.shows_late = True
    assert survey(places, account)["a.jpg"].state == "gone"
    assert clear(places, account.url, None).taken == 1


def test_one_busy_answer_of_the_api_is_asked_for_again(account: Account, places: Places) -> None:
    account.queue(account.put("a.jpg"), account.put("b.jpg"))
    busy = iter([True, False, True, True, False, True])
    account.refuse_read = lambda key: key == "a.jpg" and next(busy, False)
    outcomes, cleared = retry(places, account)
    assert {one.state for one in outcomes.values()} == {"done"}
    assert cleared.taken == 2
