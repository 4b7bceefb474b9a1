"""The failure queue: what is in it, and taking out what has its result.

Everything is received for a moment only, hidden from others meanwhile, and visible again afterwards. A
process that is killed in between leaves nothing hidden for longer than that, and never a message taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.session.times import from_milliseconds

_BATCH = 10
# So many messages are searched for one picture; a longer queue is said to be longer.
_SEARCHED = 200
# So many are taken in hand at once: to receive them takes far less time than they stay hidden.
_AT_ONCE = 2_000
# After so many answers with nothing new, what was received first is visible again.
_NOTHING_NEW = 3
# Long enough to look through them, short enough should this process die before it gives them back.
_HIDDEN_S = 30
_LONG_HIDDEN_S = 120


@dataclass(frozen=True)
class FailedEvent:
    """One event for which every attempt failed. since: when it came into the queue.

    record: as S3 sent it. kind "other": what needs no result, such as a folder. sequencer: as the ingest
    function compares it; "" where the event does not tell.
    """

    since: datetime | None
    version_id: str | None
    request_id: str | None
    attempts: int | None
    condition: str
    error: str
    key: str = ""
    kind: Literal["arrival", "removal", "other"] = "arrival"
    sequencer: str = ""
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """A message of the queue and the events in it.

    trouble: why it, or a record in it, is none of this pipeline's, else ""; then it stays in the queue.
    receipt: by which it is taken out, while it is held.
    """

    message_id: str
    receipt: str
    events: tuple[FailedEvent, ...]
    trouble: str = ""


@dataclass(frozen=True)
class Contents:
    """The entries that were visible. complete: that was all. elsewhere: about how many others hold now."""

    entries: tuple[Entry, ...] = ()
    complete: bool = True
    elsewhere: int = 0


@dataclass(frozen=True)
class Peek:
    """events: those of the key. complete: every message was looked at. waiting: about how many there are."""

    events: tuple[FailedEvent, ...] = ()
    searched: int = 0
    waiting: int = 0
    complete: bool = True


def peek(aws: Aws, url: str, key: str, *, waiting: int) -> Peek:
    """Search the queue for a key's events; all messages are visible again at the end. Raises Problem.

    waiting: how many messages the queue says it has, which may be a minute old.
    """
    with _held(aws, url, limit=_SEARCHED, hidden_s=_HIDDEN_S, waiting=waiting) as (messages, complete):
        entries = [entry_of(message) for message in messages]
    events = [event for entry in entries for event in entry.events if event.key == key]
    return Peek(tuple(events), len(entries), max(waiting, len(entries)), complete)


@contextmanager
def held(aws: Aws, url: str, bucket: str) -> Iterator[Contents]:
    """All that is in the queue, hidden from others until the end. Raises Problem.

    bucket: the pipeline's; entries about another one are none of ours.
    """
    with _held(aws, url, limit=_AT_ONCE, hidden_s=_LONG_HIDDEN_S, waiting=None) as (messages, complete):
        entries = tuple(entry_of(message, bucket) for message in messages)
        yield Contents(entries, complete, _elsewhere(aws, url, len(entries)))


def read(aws: Aws, url: str, bucket: str) -> Contents:
    """The same, visible again at once; what it says can only be looked at. Raises Problem."""
    with held(aws, url, bucket) as contents:
        return contents


def take_out(aws: Aws, url: str, entries: Iterable[Entry]) -> frozenset[str]:
    """Delete entries that are held just now; the ids of those that are gone. Raises AwsError.

    SQS may refuse single ones although the call succeeds; they are asked for once more.
    """
    receipts = {entry.message_id: entry.receipt for entry in entries}
    gone: set[str] = set()
    for _ in range(2):
        for some in _batches([message_id for message_id in receipts if message_id not in gone]):
            numbered = [
                {"Id": str(number), "ReceiptHandle": receipts[message_id]}
                for number, message_id in enumerate(some)
            ]
            answer = aws.call("sqs", "delete_message_batch", QueueUrl=url, Entries=numbered)
            gone |= {some[int(deleted["Id"])] for deleted in answer.get("Successful", [])}
    return frozenset(gone)


# --- receiving -----------------------------------------------------------------------------------


@contextmanager
def _held(
    aws: Aws, url: str, *, limit: int, hidden_s: int, waiting: int | None
) -> Iterator[tuple[list[Mapping[str, Any]], bool]]:
    """The messages, and whether that is all; those still there at the end are visible again."""
    found: dict[str, Mapping[str, Any]] = {}
    try:
        try:
            complete = _receive(aws, url, found, limit, hidden_s, waiting)
            yield list(found.values()), complete
        finally:
            _give_back(aws, url, [message["ReceiptHandle"] for message in found.values()])
    except AwsError as error:
        raise problem(error, "look into the failure queue") from error


def _receive(
    aws: Aws, url: str, found: dict[str, Mapping[str, Any]], limit: int, hidden_s: int, waiting: int | None
) -> bool:
    """Receive what there is, hidden meanwhile so that nothing is read twice; True if that was all."""
    nothing_new = 0
    while len(found) < limit and nothing_new < _NOTHING_NEW:
        answer = aws.call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=hidden_s,
            # A short look asks only some of the servers that hold the queue.
            WaitTimeSeconds=1 if waiting is None or waiting > len(found) else 0,
            AttributeNames=["SentTimestamp"],
        )
        messages = {message["MessageId"]: message for message in answer.get("Messages", [])}
        if not messages:
            return True
        nothing_new = nothing_new + 1 if messages.keys() <= found.keys() else 0
        found |= messages
    return False


def _give_back(aws: Aws, url: str, handles: list[str]) -> None:
    """Make them visible; SQS passes over those that are gone."""
    for some in _batches(handles):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(some)
        ]
        aws.call("sqs", "change_message_visibility_batch", QueueUrl=url, Entries=entries)


def _batches(all_: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(all_), _BATCH):
        yield all_[start : start + _BATCH]


def _elsewhere(aws: Aws, url: str, ours: int) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    answer = aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=[name])
    return max(int(answer.get("Attributes", {}).get(name, 0)) - ours, 0)


# --- reading a message ---------------------------------------------------------------------------


def entry_of(message: Mapping[str, Any], bucket: str | None = None) -> Entry:
    """What a message says. A record that is not as Lambda and S3 write them hides none of the others."""
    events: list[FailedEvent] = []
    trouble = ""
    try:
        body = json.loads(message["Body"])
        context = body.get("requestContext", {})
        answer = body.get("responsePayload") or {}
        sent = message.get("Attributes", {}).get("SentTimestamp")
        about = FailedEvent(
            since=from_milliseconds(int(sent)) if sent else None,
            version_id=None,
            request_id=context.get("requestId"),
            attempts=context.get("approximateInvokeCount"),
            condition=str(context.get("condition", "")),
            error=str(answer.get("errorMessage", "")) if isinstance(answer, dict) else str(answer),
        )
        records = list(body["requestPayload"]["Records"])
    except _UNREADABLE:
        trouble, records = "it cannot be read", []
    for record in records:
        try:
            events.append(_event(record, about, bucket))
        except _OtherBucket as error:
            trouble = f"it is about the bucket {error}"
        except _UNREADABLE:
            trouble = "a record in it cannot be read"
    if not records and not trouble:
        trouble = "it holds no event"
    return Entry(str(message["MessageId"]), str(message["ReceiptHandle"]), tuple(events), trouble)


class _OtherBucket(Exception):
    """Its text is the bucket's name."""


_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)


def _event(record: Mapping[str, Any], about: FailedEvent, bucket: str | None) -> FailedEvent:
    """The record as the ingest function reads it. about: what is known of all events in the message.

    Raises ValueError for a record that it cannot read, or that is none of S3's.
    """
    found = functions.events.parse_record(record)
    if isinstance(found, functions.events.Unreadable) or found.key is None:
        raise ValueError("the ingest function cannot read this record")
    if bucket not in (None, found.bucket):
        raise _OtherBucket(found.bucket)
    event = replace(about, key=found.key, record=record)
    if isinstance(found, functions.events.Ignored):
        return replace(event, kind="other")
    came = isinstance(found, functions.events.Arrival)
    return replace(
        event, kind="arrival" if came else "removal", version_id=found.version_id, sequencer=found.sequencer
    )
