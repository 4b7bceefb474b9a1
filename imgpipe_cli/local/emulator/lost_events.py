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
from urllib.parse import unquote_plus

from imgpipe_cli.aws.names import Names
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas.source import result_objects
from imgpipe_cli.local.process.environment import ACCOUNT

LOGGER = logging.getLogger("imgpipe.local.events")

_SETTINGS = re.compile(r"/imgpipe/([^/]+)/settings")
_REMOVED = "removed"

# By key: the version and the ETag of the object that a result is about; None where that was removed.
About = dict[str, tuple[str | None, str] | None]


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
            results = {**self._in_bucket(names), **self._in_table(names)}
            for key, found in objects.items():
                version = found.get("version_id")
                is_folder = key.endswith("/") and not found.get("size")
                if is_folder or _has(results.get(key), found) or (names.bucket, key, version) in waiting:
                    continue
                self._fire(names.bucket, key, found)
                count += 1
            for key in results.keys() - objects.keys():
                if results[key] is not None and (names.bucket, key, None) not in waiting:
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
            record_extra={"imgpipe": "retry"},
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
                about[plain["objectKey"]] = _of(plain)
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
            about[item["objectKey"]] = _of(item)
        return about


def _of(item: Mapping[str, Any]) -> tuple[str | None, str] | None:
    if item["status"] == _REMOVED:
        return None
    return item.get("versionId"), str(item.get("eTag", ""))


def _has(result: tuple[str | None, str] | None, found: Mapping[str, Any]) -> bool:
    """Whether this is the result of this very object."""
    if result is None:
        return False
    version = found.get("version_id")
    return result[0] == version if version else result[1] == str(found.get("etag", "")).strip('"')


def _about(record: Mapping[str, Any]) -> tuple[str, str, str | None] | None:
    """(bucket, key, version) that an event is about; without the version for one of a removal."""
    try:
        thing = record["s3"]["object"]
        removed = "ObjectRemoved" in record["eventName"]
        version = None if removed else thing.get("versionId")
        return record["s3"]["bucket"]["name"], unquote_plus(thing["key"]), version
    except (KeyError, TypeError):
        return None
