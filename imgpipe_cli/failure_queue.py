"""Looking into the failure queue without taking anything out of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from imgpipe_cli.aws import Aws, AwsError, problem
from imgpipe_cli.moments import from_milliseconds

_BATCH = 10
# So many messages are searched; a longer queue is said to be longer.
_SEARCHED = 200
# Long enough to look through them, short enough should this process die before it gives them back.
_HIDDEN_S = 30


@dataclass(frozen=True)
class FailedEvent:
    """One event for which every attempt failed. since: when it came into the queue."""

    since: datetime | None
    version_id: str | None
    request_id: str | None
    attempts: int | None
    condition: str
    error: str


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
    held: dict[str, Mapping[str, Any]] = {}
    try:
        try:
            complete = _hold(aws, url, held, waiting)
        finally:
            _give_back(aws, url, [message["ReceiptHandle"] for message in held.values()])
    except AwsError as error:
        raise problem(error, "look into the failure queue") from error
    events = [event for message in held.values() for event in _events(message, key)]
    return Peek(tuple(events), len(held), max(waiting, len(held)), complete)


def _hold(aws: Aws, url: str, held: dict[str, Mapping[str, Any]], waiting: int) -> bool:
    """Receive what there is, hidden meanwhile so that nothing is read twice; True if that was all."""
    while len(held) < _SEARCHED:
        answer = aws.call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN_S,
            # A short look asks only some of the servers that hold the queue.
            WaitTimeSeconds=1 if waiting > len(held) else 0,
            AttributeNames=["SentTimestamp"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            return True
        held |= {message["MessageId"]: message for message in messages}
    return False


def _give_back(aws: Aws, url: str, handles: list[str]) -> None:
    for start in range(0, len(handles), _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + _BATCH])
        ]
        aws.call("sqs", "change_message_visibility_batch", QueueUrl=url, Entries=entries)


def _events(message: Mapping[str, Any], key: str) -> Iterator[FailedEvent]:
    """The key's events in a message; a message that is not one of Lambda's holds none."""
    try:
        body = json.loads(message["Body"])
        context = body.get("requestContext", {})
        payload = body["requestPayload"]
        answer = body.get("responsePayload") or {}
        sent = message.get("Attributes", {}).get("SentTimestamp")
        for version_id in _versions(payload["Records"], key):
            yield FailedEvent(
                since=from_milliseconds(int(sent)) if sent else None,
                version_id=version_id,
                request_id=context.get("requestId"),
                attempts=context.get("approximateInvokeCount"),
                condition=str(context.get("condition", "")),
                error=str(answer.get("errorMessage", "")) if isinstance(answer, dict) else str(answer),
            )
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _versions(records: Iterable[Mapping[str, Any]], key: str) -> Iterator[str | None]:
    for record in records:
        thing = record["s3"]["object"]
        if unquote_plus(str(thing["key"])) == key:
            yield thing.get("versionId")
