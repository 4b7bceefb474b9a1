"""A picture that is there already is not sent again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Sent, Unchanged
from imgpipe_cli.pictures.sending.send import FEW, Outcome
from imgpipe_cli.pictures.sources import Source
from shared.forced import is_forced
from tests.functional.sending.conftest import CAT, picture, pictures, sent
from tests.support.loopback_s3 import Asked, LoopbackS3

pytestmark = pytest.mark.usefixtures("quick_sending")


def test_a_few_pictures_that_are_there_are_asked_for_one_by_one(s3: LoopbackS3) -> None:
    sent(pictures(5))
    s3.asked.clear()
    told: list[Event] = []
    assert sent(pictures(5), told) == Outcome(unchanged=5)
    assert Counter(one.kind for one in s3.asked) == {"PUT": 5, "HEAD": 5}
    assert all(len(versions) == 1 for versions in s3.keys.values())
    assert {(one.key, one.version_id) for one in told if isinstance(one, Unchanged)} == {
        (key, versions[0].version_id) for key, versions in s3.keys.items()
    }


def test_a_thousand_that_are_there_cost_no_put_and_few_requests(s3: LoopbackS3) -> None:
    many = pictures(1000)
    for one in many:
        assert isinstance(one, Source)
        s3.store(one.key, one.read()[0])
    for number in range(3000):  # of others, before and after
        s3.store(f"{'aoz'[number % 3]}/{number}.jpg", b"x")
    assert sent(many) == Outcome(unchanged=1000)
    assert s3.puts() == []
    assert len(s3.asked) <= 20


def test_pictures_in_any_order_are_found_as_well(s3: LoopbackS3) -> None:
    many = pictures(FEW + 50)
    for one in many:
        assert isinstance(one, Source)
        s3.store(one.key, one.read()[0])
    assert sent([*many[50:], *many[:50]]) == Outcome(unchanged=FEW + 50)
    assert s3.puts() == []


@pytest.mark.parametrize("count", [5, FEW + 5], ids=["few", "many"])
def test_only_those_that_changed_are_sent_each_as_a_new_version(s3: LoopbackS3, count: int) -> None:
    many = pictures(count)
    sent(many)
    s3.asked.clear()
    many[2] = Source(picture(2).key, "2.jpg", data=CAT + b"x")  # of the same size
    many[3] = Source(picture(3).key, "3.jpg", data=CAT + b"longer")
    told: list[Event] = []
    assert sent(many, told) == Outcome(sent=2, unchanged=count - 2)
    assert {one.key for one in told if isinstance(one, Sent) and one.replaced} == {many[2].key, many[3].key}  # type: ignore[union-attr]
    assert {key for key, versions in s3.keys.items() if len(versions) == 2} == {many[2].key, many[3].key}  # type: ignore[union-attr]


def metadata(put: Asked) -> dict[str, str]:
    """The user's own that a request carries."""
    found = {name.removeprefix("x-amz-meta-"): value for name, value in put.headers.items()}
    return {name: value for name, value in found.items() if name not in put.headers}


@pytest.mark.parametrize("count", [5, FEW + 5], ids=["few", "many"])
def test_with_force_all_are_sent_each_as_a_new_version(s3: LoopbackS3, count: int) -> None:
    sent(pictures(count))
    told: list[Event] = []
    s3.asked.clear()
    assert sent(pictures(count), told, force=True) == Outcome(sent=count)
    # By either library, each says for itself that it is to be analyzed again.
    assert {is_forced(one.key, metadata(one)) for one in s3.puts()} == {True}
    assert all(one.replaced for one in told if isinstance(one, Sent))
    assert all(len(versions) == 2 for versions in s3.keys.values())


def test_an_etag_that_is_no_md5_is_known_again_from_the_journal(s3: LoopbackS3) -> None:
    s3.encrypted = True
    sent(pictures(FEW + 5))
    s3.asked.clear()
    assert sent(pictures(FEW + 5)) == Outcome(unchanged=FEW + 5)
    assert Counter(one.kind for one in s3.asked) == {"LIST": 1}


def test_without_the_journal_the_sha_256_that_s3_keeps_decides(s3: LoopbackS3, state: Path) -> None:
    s3.encrypted = True
    sent(pictures(FEW + 5))
    (journal,) = state.glob("sent-*")
    journal.unlink()
    s3.asked.clear()
    assert sent(pictures(FEW + 5)) == Outcome(unchanged=FEW + 5)
    assert Counter(one.kind for one in s3.asked) == {"LIST": 1, "HEAD": FEW + 5}


def test_a_picture_whose_state_cannot_be_asked_is_sent(s3: LoopbackS3) -> None:
    sent(pictures(2))
    s3.fault = lambda asked: (403, "AccessDenied") if asked.kind in ("HEAD", "LIST") else None
    assert sent(pictures(2)) == Outcome(sent=2)


def test_where_the_list_is_refused_nothing_is_sent_and_the_permission_is_named(s3: LoopbackS3) -> None:
    s3.fault = lambda asked: (403, "AccessDenied") if asked.kind == "LIST" else None
    with pytest.raises(Problem) as caught:
        sent(pictures(FEW + 5))
    assert "s3:ListBucketVersions" in caught.value.message
    assert s3.puts() == []
