"""S3 event notifications: what happened to which object.

Parsing never raises: a record that cannot be read becomes `Unreadable`, so that it cannot fail the others.
Standard library only: the command line loads this very file, under another package name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from .results import key_possible

SEQUENCER_DIGITS = 32

TRIES = 3
"""So often Lambda calls the ingest function for an event that fails; then it is in the failure queue."""

BY_HAND: Mapping[str, str] = {"imgpipe": "retry"}
"""`imgpipe retry` adds this to a record, beside S3's own members; S3 never does."""

AGAIN = "again"
"""A member beside it: feature -> the model whose answer is to be replaced, "" for one that names no model.

Another model's answer stays. So the same record may come any number of times.
"""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An object was created or overwritten. `version_id` is None on a bucket that never had versions.

    `by_hand`: somebody asks again for what is the current object, also where a final failure is stored. Such
    a record counts only while its version is the current one; its sequencer may be missing.
    again: as AGAIN says. at: when it was created; None where the record does not tell.
    """

    bucket: str
    key: str
    version_id: str | None
    etag: str
    sequencer: str
    size_bytes: int | None
    by_hand: bool = False
    again: Mapping[str, str] = field(default_factory=dict, hash=False)
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """An object went away.

    With `version_id`, just that version or delete marker was deleted for good, and what lay below it may show
    again. Without one, the key reads as missing from now on: by a delete marker, or because the bucket has no
    versions.
    """

    bucket: str
    key: str
    version_id: str | None
    sequencer: str


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """Nothing to do: a test event, a folder, an event of another service or kind."""

    reason: str
    bucket: str | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A record from S3 that this code does not understand."""

    reason: str


Record = Arrival | Removal | Ignored | Unreadable


def parse_event(event: object) -> list[Record]:
    """The records of an event in their order; empty for an event without records, such as `s3:TestEvent`."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return []
    return [parse_record(record) for record in records]


def parse_record(record: Any) -> Record:
    try:
        return _parse(record)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return Unreadable(reason=f"{type(error).__name__}: {error}")


def _parse(record: Mapping[str, Any]) -> Record:
    if record.get("eventSource") != "aws:s3":
        return Ignored(reason="not from S3")
    # "2.1" and "2.6" are alike for us; a new major version may change the meaning of anything.
    if _text(record.get("eventVersion", "2"), "event version").partition(".")[0] != "2":
        raise ValueError(f"event version {record['eventVersion']} is unknown")
    kind, _, detail = _text(record["eventName"], "event name").removeprefix("s3:").partition(":")
    bucket = _text(record["s3"]["bucket"]["name"], "bucket name")
    thing = record["s3"]["object"]
    key = _key(_text(thing["key"], "key"))
    sequencer = comparable_sequencer(thing.get("sequencer"))
    version_id = _text(thing.get("versionId") or "", "version") or None
    match kind:
        case "ObjectCreated":
            size = _size(thing.get("size"))
            by_hand = BY_HAND.items() <= record.items()
            if is_folder(key, size):
                return Ignored(reason="a folder", bucket=bucket, key=key)
            return Arrival(
                bucket=bucket,
                key=key,
                version_id=version_id,
                etag=_text(thing.get("eTag") or "", "ETag").strip('"'),
                sequencer=sequencer,
                size_bytes=size,
                by_hand=by_hand,
                again=_again(record.get(AGAIN, {})) if by_hand else {},
                at=_moment(record.get("eventTime")),
            )
        case "ObjectRemoved":
            # The version of a delete marker is the marker's own, not that of a picture.
            version_id = None if detail == "DeleteMarkerCreated" else version_id
            return Removal(bucket=bucket, key=key, version_id=version_id, sequencer=sequencer)
        case _:
            return Ignored(reason=f"{kind} events", bucket=bucket, key=key)


def is_folder(key: str, size_bytes: int | None) -> bool:
    """An object that only makes a folder show in the console."""
    return key.endswith("/") and not size_bytes


def _text(value: object, what: str) -> str:
    # Made a text of, `null` would be a picture named "None".
    if not isinstance(value, str):
        raise TypeError(f"the {what} is {type(value).__name__}")
    return value


def _key(encoded: str) -> str:
    # Encoded like a form, once: "+" is a space. Decoding twice would spoil keys that contain a percent sign.
    key = unquote_plus(encoded, errors="strict")
    if not key_possible(key):
        raise ValueError("no object can have this key")
    return key


def _again(value: Mapping[str, object]) -> dict[str, str]:
    return {_text(feature, "feature"): _text(model, "model") for feature, model in value.items()}


def _size(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("the size is no number of bytes")
    return int(value)


def _moment(value: object) -> datetime | None:
    """A time as S3 writes it; None for anything else, since no result depends on it alone."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and not found.tzinfo else found


def comparable_sequencer(sequencer: str | None) -> str:
    """The sequencer so that text order is time order. Raises ValueError for what S3 never gives.

    S3 gives hexadecimal texts of different lengths, to be filled with zeros on the right and compared as
    text; they order the events of one key only. Anything else would count as newer than every event to come.
    """
    text = _text(sequencer or "", "sequencer")
    if not re.fullmatch(r"[0-9A-Fa-f]{0,128}", text):
        raise ValueError("the sequencer is not hexadecimal")
    return text.upper().ljust(SEQUENCER_DIGITS, "0")
