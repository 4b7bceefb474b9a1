"""What a killed cloud still owed its pipelines: S3 keeps a picture at once, the queue of events only later.

So at a start each pipeline's bucket is compared with its results. A picture without a result is analyzed, as
`imgpipe retry` would ask for it, and a result whose picture was removed is marked. The ingest function
decides as ever, so an event too many changes nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imgpipe_cli.aws.names import Names
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas.source import events, identity, result_objects, results
from imgpipe_cli.local.emulator.environment import ACCOUNT

LOGGER = logging.getLogger("imgpipe.local.events")

_SETTINGS = re.compile(r"/imgpipe/([^/]+)/settings")

# By key: the result, or None where its picture was removed.
About = dict[str, Mapping[str, Any] | None]


class LostEvents:
    """Stands on MiniStack's own stores of buckets, tables and parameters."""

    def __init__(self, s3: Any, dynamodb: Any, ssm: Any) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self._ssm = ssm

    def send(self, queued: Iterable[Mapping[str, Any]]) -> int:
        """Have S3 tell once more of what has no result and waits in no event; how often. queued: the payloads
        of the events that wait."""
        waiting = {_about(record) for payload in queued for record in payload.get("Records", ())}
        count = 0
        for names in self._pipelines():
            objects = self._objects(names.bucket)
            stored = {**self._in_bucket(names), **self._in_table(names)}
            for key, found in objects.items():
                version = found.get("version_id")
                is_folder = events.is_folder(key, found.get("size"))
                if is_folder or _has(stored.get(key), found) or (names.bucket, key, version) in waiting:
                    continue
                self._fire(names.bucket, key, found)
                count += 1
            for key in stored.keys() - objects.keys():
                if stored[key] is not None and (names.bucket, key, None) not in waiting:
                    self._fire(names.bucket, key, None)
                    count += 1
        return count

    def _fire(self, bucket: str, key: str, found: Mapping[str, Any] | None) -> None:
        if found is None:
            name = "s3:ObjectRemoved:Delete"
            self._s3._fire_s3_event(bucket, key, name, sequencer=self._s3._next_event_sequencer(name))
            return
        self._s3._fire_s3_event(
            bucket,
            key,
            "s3:ObjectCreated:Put",
            size=found.get("size", 0),
            etag=found.get("etag", ""),
            version_id=found.get("version_id"),
            # Without a place in the order of events: it counts while this is the current object.
            record_extra=dict(events.BY_HAND),
        )

    def _pipelines(self) -> Iterator[Names]:
        for _, region, name in list(self._ssm._parameters._data):
            if found := _SETTINGS.fullmatch(str(name)):
                try:
                    yield Names(found[1], ACCOUNT, region)
                except Problem:
                    LOGGER.debug("%s is no pipeline's", name)

    def _objects(self, bucket: str) -> dict[str, Any]:
        found = self._s3._buckets._data.get((ACCOUNT, bucket))
        return dict(found["objects"]) if found else {}

    def _in_table(self, names: Names) -> About:
        table = self._dynamodb._tables._data.get((ACCOUNT, names.region, names.table))
        about: About = {}
        for items in (table or {}).get("items", {}).values():
            for item in items.values():
                plain = {name: value.get("S") for name, value in item.items()}
                about[plain["objectKey"]] = _unless_removed(plain)
        return about

    def _in_bucket(self, names: Names) -> About:
        objects = self._objects(names.results_bucket)
        about: About = {}
        for name in [name for name in objects if name.startswith(result_objects.RESULTS)]:
            body = self._s3._read_body(names.results_bucket, name, objects[name])
            try:
                item = result_objects.load(body)
            except ValueError:
                continue
            about[item["objectKey"]] = _unless_removed(item)
        return about


def _unless_removed(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return None if item["status"] == results.REMOVED else item


def _has(result: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    """Whether this is the result of this very object."""
    etag = str(found.get("etag", "")).strip('"')
    return result is not None and identity.is_of(result, version_id=found.get("version_id"), etag=etag)


def _about(record: Mapping[str, Any]) -> tuple[str, str, str | None] | None:
    """(bucket, key, version) that an event is about; without the version for one of a removal."""
    found = events.parse_record(record)
    if isinstance(found, events.Arrival):
        return found.bucket, found.key, found.version_id
    return (found.bucket, found.key, None) if isinstance(found, events.Removal) else None
