"""Many pictures at once: a month's limit is exact, copies are paid once, and so are events that come twice.

The real function on MiniStack's DynamoDB.

moto's server does not serve for this: under threads it lets more pass than a condition allows.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe_cli.local.process.running_cloud import LocalCloud
from ingest.app import serve
from ingest.index_table import IndexTable
from ingest.indexed_store import IndexedStore
from ingest.permits import shared_permits
from ingest.work import Needs
from shared import log
from shared.dynamo_types import from_attributes, to_attributes
from shared.forced import metadata_of
from shared.result_item import Stored
from shared.usage import Usage, month_of, row_of, usage_of
from tests.local.conftest import Connect
from tests.support.exhaustive import only
from tests.support.function_cloud import ANSWERS
from tests.support.index_table import make_index
from tests.support.picture_heads import jpeg

RUNS = 50
THREADS = 50
_numbers = itertools.count(1)
_NOW = datetime(2026, 11, 22, tzinfo=UTC)  # no month ends while they run


@pytest.fixture(autouse=True)
def about_nothing() -> Iterator[None]:
    """In Lambda one process works on one event, so its threads share what a line of the log is about."""
    yield
    log._about.clear()


class Results:
    """Those of many runs at once, in memory."""

    def __init__(self) -> None:
        self.items: dict[str, Stored] = {}
        self._one = threading.Lock()

    def read(self, key: str) -> Stored | None:
        return self.items.get(key)

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        with self._one:
            fits = self.items.get(item["objectKey"]) == seen
            if fits:
                self.items[item["objectKey"]] = item
            return fits


class Pictures:
    """S3 with another picture under every key, but for what stands before an underscore.

    forced: each was sent with `upload --force`.
    """

    def __init__(self, *, forced: bool) -> None:
        self._forced = forced

    def get_object(self, *, Key: str, **_asked: Any) -> dict[str, Any]:
        data = jpeg(tail=Key.rpartition("_")[2].encode())
        found = {"Body": io.BytesIO(data), "ContentLength": len(data), "ETag": '"e"', "VersionId": "v"}
        return {**found, "Metadata": metadata_of(Key) if self._forced else {}}


class Asked:
    """Rekognition, which counts."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def detect_labels(self, *, Image: dict[str, Any], **_parameters: Any) -> Any:
        self.keys.append(Image["S3Object"]["Name"])
        return ANSWERS["DetectLabels"]


def arrival(key: str) -> dict[str, Any]:
    thing = {"key": key, "size": 1, "eTag": "e", "versionId": "v", "sequencer": "0F"}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    return {"Records": [{**record, "s3": {"bucket": {"name": "b"}, "object": thing}}]}


@dataclass
class Site:
    """A function with an index of its own on MiniStack; results, pictures and Rekognition are played."""

    dynamodb: Any
    table: str
    limit: int | None = None
    results: Results = field(default_factory=Results)
    rekognition: Asked = field(default_factory=Asked)

    def all_at_once(self, keys: list[str], *, forced: bool = False) -> None:
        """Each by a call of its own."""
        s3: Any = Pictures(forced=forced)
        rekognition: Any = self.rekognition
        rows = IndexTable(dynamodb=self.dynamodb, table=self.table)
        permits = shared_permits(self.dynamodb, self.table, store=self.results, limit=self.limit)
        needs = Needs(
            features=("labels",),
            store=IndexedStore(store=self.results, index=rows),
            s3=s3,
            rekognition=rekognition,
            permits=replace(permits, now=lambda: _NOW),
        )
        with ThreadPoolExecutor(THREADS) as pool:
            calls = [SimpleNamespace(aws_request_id=str(number)) for number in range(len(keys))]
            list(pool.map(lambda key, call: serve(arrival(key), call, needs), keys, calls))

    @property
    def ends(self) -> Counter[str]:
        """How many results there are by status, or by the code of their failure."""
        stored: list[Any] = list(self.results.items.values())
        return Counter(item.get("error", {}).get("code", item["status"]) for item in stored)

    @property
    def usage(self) -> Usage:
        month = month_of(_NOW)
        answer = self.dynamodb.get_item(TableName=self.table, Key=to_attributes(row_of(month)))
        return usage_of(month, from_attributes(answer["Item"]))


@pytest.fixture
def site(stub_cloud: LocalCloud, connect: Connect) -> Iterator[Site]:
    found = Site(connect(stub_cloud, "dynamodb", max_pool_connections=THREADS), f"many-{next(_numbers)}")
    make_index(found.dynamodb, found.table)
    yield found
    found.dynamodb.delete_table(TableName=found.table)


@pytest.mark.parametrize(
    ("pictures", "limit"),
    [
        pytest.param(120, 25, id="few"),
        *(only(pytest.param(500, 100, id=str(run)), minutes=True) for run in range(RUNS)),
    ],
)
def test_exactly_so_many_are_asked_for_and_the_others_are_over_the_limit(
    site: Site, pictures: int, limit: int
) -> None:
    site.limit = limit
    site.all_at_once([f"{number}.jpg" for number in range(pictures)])
    assert len(site.rekognition.keys) == len(set(site.rekognition.keys)) == limit
    assert site.ends == {"done": limit, "over_limit": pictures - limit}
    assert (site.usage.analyses, site.usage.pictures) == (limit, limit)


@pytest.mark.parametrize(
    ("pictures", "copies"),
    [pytest.param(40, 40, id="few"), only(pytest.param(700, 300, id="many"), minutes=True)],
)
def test_copies_that_come_with_their_pictures_are_paid_once(site: Site, pictures: int, copies: int) -> None:
    keys = [f"{number}.jpg" for number in range(pictures)]
    beside = [key for number, key in enumerate(keys) for key in (key, f"copy_{key}")[: 1 + (number < copies)]]
    site.all_at_once(beside)
    assert site.ends == {"done": pictures + copies}
    assert len(site.rekognition.keys) == site.usage.analyses == pictures
    assert site.usage.reused == {"labels": copies}


@pytest.mark.parametrize("forced", [False, True], ids=["usual", "forced"])
@pytest.mark.parametrize(
    ("pictures", "times"),
    [pytest.param(40, 2, id="few"), only(pytest.param(100, 4, id="many"), minutes=True)],
)
def test_events_that_come_several_times_at_once_are_paid_and_counted_once(
    site: Site, pictures: int, times: int, forced: bool
) -> None:
    site.limit = pictures
    site.all_at_once([f"{number}.jpg" for number in range(pictures) for _ in range(times)], forced=forced)
    assert site.ends == {"done": pictures}
    assert len(site.rekognition.keys) == len(set(site.rekognition.keys)) == pictures
    assert (site.usage.analyses, site.usage.pictures, site.usage.reused) == (pictures, pictures, {})
