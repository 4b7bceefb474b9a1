from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from imgpipe_cli.diagnose.retry.failure_queue import entry_of
from shared.events import Arrival, Ignored, Removal, Unreadable, comparable_sequencer, parse_event
from shared.identity import is_of

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

# As S3 sends it, except for the ids.
CREATED = json.loads("""
{"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2",
  "eventTime": "2026-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Post",
  "s3": {"s3SchemaVersion": "1.0", "configurationId": "imgpipe", "bucket": {"name": "uploads"},
         "object": {"key": "red+flower%2B1.jpg", "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                    "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055aed6dcd90281e5"}}}]}
""")


def test_a_real_event_is_read_whole() -> None:
    assert parse_event(CREATED) == [
        Arrival(
            bucket="uploads",
            key="red flower+1.jpg",
            version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
            etag="d41d8cd98f00b204e9800998ecf8427e",
            sequencer="0055AED6DCD90281E500000000000000",
            size_bytes=1024,
        )
    ]


@pytest.mark.parametrize(
    "key", ["a b.jpg", "a+b.jpg", "100%.jpg", "%41.jpg", "é/日本 語.png", "a,b&c=d.jpg", "x" * 1024]
)
def test_a_key_is_decoded_exactly_once(unversioned_cloud: Cloud, key: str) -> None:
    (record,) = parse_event(unversioned_cloud.event("ObjectCreated:Put", key, size=1))
    assert isinstance(record, Arrival)
    assert record.key == key
    assert record.version_id is None


def test_sequencers_of_different_lengths_compare_as_time() -> None:
    assert comparable_sequencer("0055AED6DCD90281E5") == comparable_sequencer("0055aed6dcd90281e500")
    assert comparable_sequencer("0055AED6DC") < comparable_sequencer("0055AED6DCD9")
    assert comparable_sequencer(None) < comparable_sequencer("01")


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("ObjectRemoved:DeleteMarkerCreated", "the-marker", None),
        ("ObjectRemoved:Delete", "v1", "v1"),
        ("ObjectRemoved:Delete", None, None),
    ],
)
def test_only_a_deleted_version_is_named(
    unversioned_cloud: Cloud, name: str, version: str | None, expected: str | None
) -> None:
    (record,) = parse_event(unversioned_cloud.event(name, "a.jpg", version=version))
    assert isinstance(record, Removal)
    assert record.version_id == expected


@pytest.mark.parametrize(
    "change",
    [
        {"eventSource": "aws:sqs"},
        {"eventName": "ObjectRestore:Completed"},
        {"eventName": "LifecycleExpiration:Delete"},
    ],
)
def test_what_is_not_ours_is_ignored(change: dict[str, str]) -> None:
    (record,) = parse_event({"Records": [{**CREATED["Records"][0], **change}]})
    assert isinstance(record, Ignored)


def test_a_folder_is_ignored_but_not_a_picture_with_such_a_name(unversioned_cloud: Cloud) -> None:
    (folder,) = parse_event(unversioned_cloud.event("ObjectCreated:Put", "pics/", size=0))
    (picture,) = parse_event(unversioned_cloud.event("ObjectCreated:Put", "pics/", size=9))
    assert isinstance(folder, Ignored)
    assert isinstance(picture, Arrival)


@pytest.mark.parametrize(
    "record",
    [
        None,
        "text",
        {"eventSource": "aws:s3"},
        {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}},
        {**CREATED["Records"][0], "eventVersion": "3.0"},
        {**CREATED["Records"][0], "s3": {"bucket": {"name": "b"}, "object": {"key": ""}}},
    ],
)
def test_a_broken_record_is_said_to_be_unreadable(record: Any) -> None:
    (parsed,) = parse_event({"Records": [record]})
    assert isinstance(parsed, Unreadable)


@pytest.mark.parametrize("event", [{}, {"Event": "s3:TestEvent", "Bucket": "b"}, {"Records": None}])
def test_an_event_without_records_has_none(event: dict[str, Any]) -> None:
    assert parse_event(event) == []


@pytest.mark.parametrize(
    ("version_id", "etag", "expected"),
    [
        ("v1", "e1", True),
        ("v1", "other", True),  # the version alone decides
        ("v2", "e1", False),
        (None, "e1", True),
        (None, "other", False),
        ("null", "e1", True),  # the version of all that is stored while versions are suspended
        ("null", "other", False),
    ],
)
def test_a_result_is_of_its_version_or_without_versions_of_its_bytes(
    version_id: str | None, etag: str, expected: bool
) -> None:
    assert is_of({"versionId": "v1", "eTag": "e1"}, version_id=version_id, etag=etag) is expected
    assert not is_of({}, version_id=version_id, etag=etag)


@pytest.mark.parametrize("change", [{"eventVersion": "3.0"}, {"eventSource": "aws:sqs"}, {"eventName": 1}])
def test_the_command_line_reads_a_record_as_the_function_does(change: dict[str, Any]) -> None:
    """In the failure queue too, where a record that nobody understands stays."""
    records = [CREATED["Records"][0], {**CREATED["Records"][0], **change}]
    body = json.dumps({"requestPayload": {"Records": records}})
    entry = entry_of({"MessageId": "m", "ReceiptHandle": "r", "Body": body}, "uploads")
    assert entry.trouble == "a record in it cannot be read"
    (event,) = entry.events
    (arrival, _other) = parse_event({"Records": records})
    assert isinstance(arrival, Arrival)
    read = (event.key, event.version_id, event.sequencer, event.kind)
    assert read == (arrival.key, arrival.version_id, arrival.sequencer, "arrival")


@pytest.mark.parametrize("name", ["ObjectRestore:Completed", "ObjectCreated:Put"])
def test_an_event_that_needs_no_result_is_told_apart_by_its_bucket(name: str) -> None:
    folder = {"bucket": {"name": "uploads"}, "object": {"key": "pics/", "size": 0}}
    record = {**CREATED["Records"][0], "eventName": name, "s3": folder}
    message = {
        "MessageId": "m",
        "ReceiptHandle": "r",
        "Body": json.dumps({"requestPayload": {"Records": [record]}}),
    }
    assert [event.kind for event in entry_of(message, "uploads").events] == ["other"]
    assert entry_of(message, "elsewhere").trouble == "it is about the bucket uploads"
