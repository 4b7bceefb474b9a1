"""Hostile payloads of the ingest function, and how each ends.

Made of an event that is right and names `good.jpg`, a picture that is in the bucket.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Payload = Any
Ending = Literal["ignored", "done", "queue"]


@dataclass(frozen=True)
class PayloadRow:
    """ending: "ignored" returns and stores nothing; "done" stores good.jpg's result; "queue" raises, so that
    the event is tried again and then left in the failure queue, and stores nothing."""

    id: str
    change: Callable[[dict[str, Any]], Payload]
    ending: Ending


def _record(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], Payload]:
    """The event with its record changed in place."""

    def made(event: dict[str, Any]) -> Payload:
        change(event["Records"][0])
        return event

    return made


def _thing(**changes: Any) -> Callable[[dict[str, Any]], Payload]:
    """The event with these members of the object; ...: without them."""

    def change(record: dict[str, Any]) -> None:
        thing = record["s3"]["object"]
        thing |= changes
        for name in [name for name, value in changes.items() if value is ...]:
            del thing[name]

    return _record(change)


def _part(*path: str, value: Any) -> Callable[[dict[str, Any]], Payload]:
    """The event with another value at this place of its record; ...: without it."""

    def change(record: dict[str, Any]) -> None:
        place = record
        for name in path[:-1]:
            place = place[name]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return _record(change)


def _instead(payload: Payload) -> Callable[[dict[str, Any]], Payload]:
    return lambda _event: payload


def _wrapped(event: dict[str, Any]) -> Payload:
    """As a queue between bucket and function would have it."""
    return {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(event), "messageId": "1"}]}


def _topic(event: dict[str, Any]) -> Payload:
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(event)}}]}


def _bridge(event: dict[str, Any]) -> Payload:
    thing = event["Records"][0]["s3"]
    return {"detail-type": "Object Created", "source": "aws.s3", "detail": thing}


def _among_a_thousand(event: dict[str, Any]) -> Payload:
    """One that is right in the middle of others that mean nothing here."""
    other = {"eventSource": "aws:s3", "eventVersion": "2.1", "eventName": "ObjectRestore:Post"}
    (right,) = event["Records"]
    others = [{**other, "s3": copy.deepcopy(right["s3"])} for _ in range(999)]
    return {"Records": [*others[:500], right, *others[500:]]}


def _twice(event: dict[str, Any]) -> Payload:
    return {"Records": event["Records"] * 50}


def _deep() -> Any:
    found: Any = []
    for _ in range(900):
        found = [found]
    return found


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "RequestId": "1", "HostId": "2"}


def _row(name: str, change: Callable[[dict[str, Any]], Payload], ending: Ending) -> PayloadRow:
    return PayloadRow(f"event-{name}", change, ending)


PAYLOADS = (
    # Not an event of ours.
    _row("null", _instead(None), "ignored"),
    _row("text", _instead("Records"), "ignored"),
    _row("number", _instead(5), "ignored"),
    _row("list", _instead([{"Records": []}]), "ignored"),
    _row("empty", _instead({}), "ignored"),
    _row("no-records", _instead({"Records": []}), "ignored"),
    _row("records-null", _instead({"Records": None}), "ignored"),
    _row("records-an-object", _instead({"Records": {"0": {}}}), "ignored"),
    _row("test-of-s3", _instead(TEST_EVENT), "ignored"),
    _row("of-eventbridge", _bridge, "ignored"),
    _row("in-a-queue", _wrapped, "ignored"),
    _row("in-a-topic", _topic, "ignored"),
    _row("of-another-service", _part("eventSource", value="aws:dynamodb"), "ignored"),
    _row("of-another-kind", _part("eventName", value="ObjectTagging:Put"), "ignored"),
    _row("folder", _thing(key="pics/", size=0), "ignored"),
    # Right, if unusual.
    _row("a-newer-minor-version", _part("eventVersion", value="2.99"), "done"),
    _row("no-version", _part("eventVersion", value=...), "done"),
    _row("with-the-prefix-of-old", _part("eventName", value="s3:ObjectCreated:Put"), "done"),
    _row("of-an-unknown-way", _part("eventName", value="ObjectCreated:ByMagic"), "done"),
    _row("unknown-members", _part("s3", "object", "future", value={"a": [None]}), "done"),
    _row("no-size", _thing(size=...), "done"),
    _row("no-etag", _thing(eTag=...), "done"),
    _row("no-sequencer", _thing(sequencer=...), "done"),
    _row("sequencer-of-64-digits", _thing(sequencer="0A" * 32), "done"),
    _row("among-a-thousand", _among_a_thousand, "done"),
    _row("fifty-times", _twice, "done"),
    # Not to be understood.
    _row("record-null", _instead({"Records": [None]}), "queue"),
    _row("record-a-list", _instead({"Records": [[]]}), "queue"),
    _row("record-deep", _instead({"Records": [{"eventSource": "aws:s3", "eventName": _deep()}]}), "queue"),
    _row("a-newer-major-version", _part("eventVersion", value="3.0"), "queue"),
    _row("version-a-number", _part("eventVersion", value=2.1), "queue"),
    _row("no-name", _part("eventName", value=...), "queue"),
    _row("name-null", _part("eventName", value=None), "queue"),
    _row("no-s3", _part("s3", value=...), "queue"),
    _row("s3-a-text", _part("s3", value="object"), "queue"),
    _row("bucket-null", _part("s3", "bucket", "name", value=None), "queue"),
    _row("no-key", _thing(key=...), "queue"),
    _row("key-null", _thing(key=None), "queue"),
    _row("key-a-number", _thing(key=5), "queue"),
    _row("key-empty", _thing(key=""), "queue"),
    _row("key-undecodable", _thing(key="a%FF%C0%AF.jpg"), "queue"),
    _row("key-too-long", _thing(key="x" * 1025), "queue"),
    _row("size-negative", _thing(size=-1), "queue"),
    _row("size-a-text", _thing(size="large"), "queue"),
    _row("size-infinite", _thing(size=float("inf")), "queue"),
    _row("size-nan", _thing(size=float("nan")), "queue"),
    _row("size-of-400-digits", _thing(size=10**400), "queue"),
    _row("version-id-a-number", _thing(versionId=7), "queue"),
    _row("etag-a-list", _thing(eTag=["a"]), "queue"),
    _row("sequencer-not-hexadecimal", _thing(sequencer="ZZZZ"), "queue"),
    _row("sequencer-a-number", _thing(sequencer=10**30), "queue"),
    _row("sequencer-endless", _thing(sequencer="F" * 100_000), "queue"),
)
