"""S3 event notifications: what happened to which object.

Parsing never raises: a record that cannot be read becomes `Unreadable`, so that it cannot fail the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

SEQUENCER_DIGITS = 32
NO_SEQUENCER = "0" * SEQUENCER_DIGITS
"""Older than every real one."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An object was created or overwritten. `version_id` is None on a bucket that never had versions."""

    bucket: str
    key: str
    version_id: str | None
    etag: str
    sequencer: str
    size_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Removal:
    """An object went away.

    With `version_id`, just that version was deleted for good. Without one, the key reads as missing from now
    on: by a delete marker, or because the bucket has no versions.
    """

    bucket: str
    key: str
    version_id: str | None
    sequencer: str


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """Nothing to do: a test event, a folder, an event of another service or kind."""

    reason: str
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A record from S3 that this code does not understand."""

    reason: str


Record = Arrival | Removal | Ignored | Unreadable


def parse_event(event: Mapping[str, Any]) -> list[Record]:
    """The records of an event in their order; empty for an event without records, such as `s3:TestEvent`."""
    records = event.get("Records")
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
    if str(record.get("eventVersion", "2")).partition(".")[0] != "2":
        raise ValueError(f"event version {record['eventVersion']} is unknown")
    kind, _, detail = str(record["eventName"]).removeprefix("s3:").partition(":")
    bucket = str(record["s3"]["bucket"]["name"])
    thing = record["s3"]["object"]
    # Encoded like a form, once: "+" is a space. Decoding twice would spoil keys that contain a percent sign.
    key = unquote_plus(str(thing["key"]))
    if not key:
        raise ValueError("empty key")
    sequencer = comparable_sequencer(thing.get("sequencer"))
    version_id = thing.get("versionId") or None
    match kind:
        case "ObjectCreated":
            size = thing.get("size")
            if key.endswith("/") and not size:
                return Ignored(reason="a folder", key=key)
            return Arrival(
                bucket=bucket,
                key=key,
                version_id=version_id,
                etag=str(thing.get("eTag", "")).strip('"'),
                sequencer=sequencer,
                size_bytes=None if size is None else int(size),
            )
        case "ObjectRemoved":
            # The version of a delete marker is the marker's own, not that of a picture.
            version_id = None if detail == "DeleteMarkerCreated" else version_id
            return Removal(bucket=bucket, key=key, version_id=version_id, sequencer=sequencer)
        case _:
            return Ignored(reason=f"{kind} events", key=key)


def comparable_sequencer(sequencer: str | None) -> str:
    """The sequencer so that text order is time order.

    S3 gives hexadecimal texts of different lengths, to be filled with zeros on the right and compared as
    text; they order the events of one key only.
    """
    return (sequencer or "").upper().ljust(SEQUENCER_DIGITS, "0")
