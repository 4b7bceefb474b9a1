"""The same bytes are paid for once: under other names, sent again, side by side; and what ends that."""

from __future__ import annotations

import base64
import hashlib
import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ingest.analysis import Findings
from ingest.app import Unfinished
from ingest.content import sha256_of
from ingest.index_table import IndexTable
from ingest.reading import HEAD_BYTES, Head
from ingest.reuse import Sought, answers
from shared.dynamo_types import to_attributes
from shared.events import Arrival
from shared.forced import is_forced, metadata_of
from shared.index_rows import ONE, entries, hash_of, model_pk
from tests.support.exhaustive import only
from tests.support.function_cloud import ANSWERS, BUCKET, Cloud
from tests.support.picture_heads import jpeg
from tests.support.result_places import INDEX_TABLE

if TYPE_CHECKING:
    from shared.result_item import StoredItem

SEEN = b"seen" * 20_000


# --- the SHA-256 -----------------------------------------------------------------------------------


def base64_sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class OneObject:
    """S3 with one object. told: what HeadObject says of its checksum; asked: the calls, in order."""

    def __init__(self, data: bytes, **told: str) -> None:
        self.data = data
        self.told = told
        self.asked: list[str] = []

    def head_object(
        self, *, ChecksumMode: str, IfMatch: str, VersionId: str, **_where: str
    ) -> dict[str, str]:
        assert (ChecksumMode, IfMatch, VersionId) == ("ENABLED", '"e"', "v")
        self.asked.append("HeadObject")
        return self.told

    def get_object(self, *, IfMatch: str, VersionId: str, **_where: str) -> dict[str, Any]:
        assert (IfMatch, VersionId) == ('"e"', "v")
        self.asked.append("GetObject")
        data = self.data
        return {"Body": SimpleNamespace(iter_chunks=lambda _size: iter(io.BytesIO(data).read, b""))}


ARRIVAL = Arrival(bucket=BUCKET, key="a.jpg", version_id="v", etag="e", sequencer="0", size_bytes=None)


def head_of(data: bytes) -> Head:
    return Head(data=data[:HEAD_BYTES], size_bytes=len(data), etag="e", version_id="v", measured=None)


def test_the_checksum_that_s3_has_verified_saves_reading() -> None:
    s3: Any = OneObject(b"", ChecksumSHA256=base64_sha256(SEEN), ChecksumType="FULL_OBJECT")
    assert sha256_of(s3, ARRIVAL, head_of(SEEN)) == hashlib.sha256(SEEN).hexdigest()
    assert s3.asked == ["HeadObject"]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"ChecksumSHA256": base64_sha256(b"other")},
        {"ChecksumSHA256": base64_sha256(b"other"), "ChecksumType": "COMPOSITE"},
        {"ChecksumSHA256": f"{base64_sha256(b'other')}-2", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumSHA256": "AAAA", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumType": "FULL_OBJECT"},
    ],
)
def test_anything_else_is_not_trusted_and_the_bytes_are_read(told: dict[str, str]) -> None:
    s3: Any = OneObject(SEEN, **told)
    assert sha256_of(s3, ARRIVAL, head_of(SEEN)) == hashlib.sha256(SEEN).hexdigest()
    assert s3.asked == ["HeadObject", "GetObject"]


def test_a_small_picture_was_read_already() -> None:
    s3: Any = OneObject(b"")
    assert sha256_of(s3, ARRIVAL, head_of(b"small")) == hashlib.sha256(b"small").hexdigest()
    assert s3.asked == []


def test_a_mark_is_of_one_key_only() -> None:
    assert is_forced("a.jpg", metadata_of("a.jpg"))
    assert not is_forced("b.jpg", metadata_of("a.jpg"))
    assert not is_forced("a.jpg", {})


# --- the rule --------------------------------------------------------------------------------------

STORED: Any = {
    "objectKey": "first.jpg",
    "versionId": "v1",
    "status": "done",
    "sha256": "ab",
    "models": {"labels": "3.0"},
    "labels": [{"Name": "Cat"}],
    "faces": [],
    "trimmed": {"labels": 2},
}


def found(stored: StoredItem | None = STORED, **sought: Any) -> dict[str, Findings]:
    return answers(Sought(**{"sha256": "ab", "features": ("labels", "faces", "text"), **sought}), stored)


def test_a_result_stands_for_the_features_it_has_and_says_whose_it_is() -> None:
    assert found() == {
        "labels": Findings(
            entries=[{"Name": "Cat"}],
            model="3.0",
            lost=2,
            origin={"objectKey": "first.jpg", "versionId": "v1"},
        ),
        "faces": Findings(entries=[], model=None, origin={"objectKey": "first.jpg", "versionId": "v1"}),
    }


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {"objectKey": "first.jpg", "status": "removed", "sequencer": "0"},
        STORED | {"sha256": "cd"},
        {name: value for name, value in STORED.items() if name != "sha256"},
    ],
    ids=["none", "removed", "other bytes", "from before"],
)
def test_no_other_result_stands_for_anything(stored: Any) -> None:
    assert found(stored) == {}


def test_what_a_failed_result_has_is_paid_for_too() -> None:
    assert found(STORED | {"status": "failed"}).keys() == {"labels", "faces"}


def test_an_analysis_keeps_its_origin_from_copy_to_copy() -> None:
    first = {"objectKey": "zero.jpg", "versionId": "v0"}
    origins = {name: one.origin for name, one in found(STORED | {"reusedFrom": {"labels": first}}).items()}
    assert origins == {"labels": first, "faces": {"objectKey": "first.jpg", "versionId": "v1"}}


def test_only_the_newest_model_seen_stands_and_not_one_to_be_replaced() -> None:
    assert found(newest={"labels": "3.1"}).keys() == {"faces"}
    assert found(newest={"labels": "3.0"}).keys() == {"labels", "faces"}
    assert found(replaced={"labels": "3.0"}).keys() == {"faces"}
    assert found(replaced={"labels": "2.0", "faces": ""}).keys() == {"labels"}


# --- with the pipeline -----------------------------------------------------------------------------


def picture(number: int) -> bytes:
    return jpeg(tail=number.to_bytes(4, "big"))


def origin(cloud: Cloud, key: str) -> str:
    """Whose labels the result has; "" for its own."""
    item = cloud.stored(key)
    assert item is not None and item["status"] == "done", item
    return str(item.get("reusedFrom", {}).get("labels", {}).get("objectKey", ""))


def test_the_same_bytes_under_another_name_cost_nothing(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    cloud.ingest(cloud.put("b.jpg", picture(1)))
    cloud.ingest(cloud.put("c.jpg", picture(2)))
    assert len(cloud.asked) == 2
    assert [origin(cloud, key) for key in ("a.jpg", "b.jpg", "c.jpg")] == ["", "a.jpg", ""]
    first, copy = cloud.stored("a.jpg"), cloud.stored("b.jpg")
    assert first and copy and copy["labels"] == first["labels"] and copy["models"] == first["models"]
    assert copy["reusedFrom"] == {"labels": {"objectKey": "a.jpg", "versionId": first["versionId"]}}


def test_sending_a_picture_again_costs_nothing_unless_it_is_forced(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    assert len(cloud.asked) == 1
    event = cloud.put("a.jpg", picture(1), metadata=metadata_of("a.jpg"))
    cloud.ingest(event)
    assert len(cloud.asked) == 2
    assert origin(cloud, "a.jpg") == ""


def test_a_rename_costs_nothing_and_another_one_neither(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    cloud.ingest(cloud.put("b.jpg", picture(1)))
    cloud.ingest(cloud.delete("a.jpg"))
    cloud.ingest(cloud.put("c.jpg", picture(1)))
    assert len(cloud.asked) == 1
    assert origin(cloud, "c.jpg") == "a.jpg", "whose analysis it is, though that is gone"


def test_what_was_removed_is_used_no_more_and_copies_keep_their_result(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    cloud.ingest(cloud.delete("a.jpg"))
    cloud.ingest(cloud.put("b.jpg", picture(1)))
    assert len(cloud.asked) == 2
    cloud.ingest(cloud.put("c.jpg", picture(1)))
    cloud.ingest(cloud.delete("b.jpg"))
    assert origin(cloud, "c.jpg") == "b.jpg"


def test_a_forged_twin_inherits_nothing(cloud: Cloud) -> None:
    """Another picture whose ETag is the same, as an MD5 can be made."""
    cloud.ingest(cloud.put("clean.jpg", picture(1)))
    event = cloud.put("forged.jpg", picture(2))
    etag = cloud.stored("clean.jpg")
    assert etag is not None
    event["Records"][0]["s3"]["object"]["eTag"] = etag["eTag"]
    cloud.ingest(event)
    assert len(cloud.asked) == 2
    assert origin(cloud, "forged.jpg") == ""


def test_a_feature_added_later_is_paid_once_for_all_copies(cloud: Cloud) -> None:
    events = [cloud.put(f"{name}.jpg", picture(1)) for name in "abc"]
    for features in ("labels", "labels,faces"):
        for event in events:
            cloud.ingest(event, features=features)
    assert cloud.operations == ["DetectFaces", "DetectLabels"]


def test_a_newer_model_is_asked_again_by_those_that_come_after_it(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    cloud.answers["DetectLabels"] = {**ANSWERS["DetectLabels"], "LabelModelVersion": "3.1"}
    cloud.ingest(cloud.put("b.jpg", picture(2)))
    cloud.ingest(cloud.put("c.jpg", picture(1)))
    assert len(cloud.asked) == 3
    cloud.ingest(cloud.put("d.jpg", picture(1)))
    assert len(cloud.asked) == 3
    assert origin(cloud, "d.jpg") == "c.jpg"


def test_of_many_copies_one_is_paid_for_a_newer_model(cloud: Cloud) -> None:
    """Also where many have the answer of the model before, and stand before it in the index."""
    keys = sorted((f"{number}.jpg" for number in range(20)), key=hash_of, reverse=True)
    events = [cloud.put(key, picture(1)) for key in keys]
    for event in events:
        cloud.ingest(event)
    cloud.answers["DetectLabels"] = {**ANSWERS["DetectLabels"], "LabelModelVersion": "3.1"}
    cloud.ingest(cloud.put("other.jpg", picture(2)))
    cloud.asked.clear()
    for event in events:
        event["Records"][0] |= {"imgpipe": "retry", "again": {"labels": "3.0"}}
        cloud.ingest(event)
    assert len(cloud.asked) == 1
    items = [cloud.stored(key) for key in keys]
    assert all(item and item["models"] == {"labels": "3.1"} for item in items)


def test_copies_whose_results_are_just_being_stored_do_not_hide_the_one_that_was_paid(cloud: Cloud) -> None:
    """Their rows are there before their results, and may stand before it in the index."""
    *early, last = sorted((f"{number}.jpg" for number in range(20)), key=hash_of)
    cloud.ingest(cloud.put(last, picture(1)))
    paid = cloud.stored(last)
    assert paid is not None
    for key in early:
        copy: Any = {**paid, "objectKey": key}
        IndexTable(dynamodb=cloud.index, table=INDEX_TABLE).put(copy, entries(copy), at=1)
    cloud.ingest(cloud.put("copy.jpg", picture(1)))
    assert origin(cloud, "copy.jpg") == last


def test_copies_are_reused_where_the_index_was_filled_anew_and_knows_no_model(cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", picture(1)))
    row = {"pk": model_pk("labels"), "sk": ONE}
    cloud.index.delete_item(TableName=INDEX_TABLE, Key=to_attributes(row))
    cloud.ingest(cloud.put("b.jpg", picture(1)))
    assert origin(cloud, "b.jpg") == "a.jpg"


def test_a_copy_takes_over_what_was_paid_before_another_feature_failed(cloud: Cloud) -> None:
    good = cloud.answers["DetectFaces"]
    cloud.answers["DetectFaces"] = "ThrottlingException"
    with pytest.raises(Unfinished):
        cloud.ingest(cloud.put("a.jpg", picture(1)), features="labels,faces")
    cloud.answers["DetectFaces"] = good
    cloud.asked.clear()
    cloud.ingest(cloud.put("b.jpg", picture(1)), features="labels,faces")
    assert cloud.operations == ["DetectFaces"]
    assert origin(cloud, "b.jpg") == "a.jpg"
    assert (cloud.usage().pictures, cloud.usage().reused) == (2, {"labels": 1})
    assert cloud.usage().analyzed == {"labels": 1, "faces": 1}


def test_a_picture_asked_for_again_by_hand_does_not_get_the_answer_it_had(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.ingest(event)
    cloud.ingest(cloud.put("b.jpg", picture(1)))
    event["Records"][0] |= {"imgpipe": "retry", "again": {"labels": "3.0"}}
    cloud.ingest(event)
    assert len(cloud.asked) == 2
    assert origin(cloud, "a.jpg") == ""


def test_the_table_failing_before_anything_is_asked_pays_nothing(cloud: Cloud) -> None:
    event = cloud.put("a.jpg", picture(1))
    cloud.fail(cloud.index, "TransactWriteItems", 400, "AccessDeniedException")
    with pytest.raises(Unfinished, match="access_denied"):
        cloud.ingest(event)
    assert cloud.asked == []
    cloud.heal(cloud.index, "TransactWriteItems")
    cloud.ingest(event)
    assert (len(cloud.asked), cloud.usage().analyses) == (1, 1)


# --- the figures -----------------------------------------------------------------------------------


@pytest.mark.timeout(3_600)  # a minute and a half of a core
@pytest.mark.parametrize("store_kind", ["table"])
@pytest.mark.parametrize(("files", "copies"), [(30, 9), only((1_000, 300), minutes=True)])
def test_what_a_folder_with_copies_costs(cloud: Cloud, files: int, copies: int) -> None:
    """1,000 files of which 300 are copies: 700 analyses; renamed: none; a feature more: 700 for it alone."""
    alone = files - copies
    events = [cloud.put(f"{number}.jpg", picture(number % alone)) for number in range(files)]
    for event in events:
        cloud.ingest(event)
    assert len(cloud.asked) == alone
    usage = cloud.usage()
    assert (usage.pictures, usage.analyzed, usage.reused) == (files, {"labels": alone}, {"labels": copies})
    for number in range(files):
        cloud.ingest(cloud.put(f"renamed-{number}.jpg", picture(number % alone)))
    assert len(cloud.asked) == alone
    cloud.asked.clear()
    for event in events:
        cloud.ingest(event, features="labels,text")
    assert cloud.operations == ["DetectText"] * alone
