"""A month's limit is exact however many pictures come at once: the real function on MiniStack's DynamoDB.

moto's server does not serve for this: under threads it lets more pass than a condition allows.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imgpipe_cli.local.process.running_cloud import LocalCloud
from ingest.app import serve
from ingest.permits import shared_permits
from ingest.work import Needs
from shared import log
from shared.dynamo_types import from_attributes, to_attributes
from shared.result_item import Stored
from shared.usage import month_of, row_of, usage_of
from tests.lambda_src.conftest import ANSWERS, jpeg
from tests.local.conftest import Connect
from tests.support.exhaustive import only
from tests.support.index_table import make_index

RUNS = 50
THREADS = 50
_numbers = itertools.count(1)


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
    """S3 with another picture under every key."""

    def get_object(self, *, Key: str, **_asked: Any) -> dict[str, Any]:
        data = jpeg(tail=Key.encode())
        found = {"Body": io.BytesIO(data), "ContentLength": len(data), "ETag": '"e"', "VersionId": "v"}
        return {**found, "Metadata": {}}


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


@pytest.mark.parametrize(
    ("pictures", "limit"),
    [pytest.param(120, 25, id="small"), *(only(pytest.param(500, 100, id=str(run))) for run in range(RUNS))],
)
def test_exactly_so_many_are_asked_for_and_the_others_are_over_the_limit(
    stub_cloud: LocalCloud, connect: Connect, pictures: int, limit: int
) -> None:
    dynamodb = connect(stub_cloud, "dynamodb", max_pool_connections=THREADS)
    table = f"limit-{next(_numbers)}"
    make_index(dynamodb, table)
    results, rekognition = Results(), Asked()
    s3: Any = Pictures()
    needs = Needs(
        features=("labels",),
        store=results,
        s3=s3,
        rekognition=rekognition,  # type: ignore[arg-type]
        permits=shared_permits(dynamodb, table, store=results, limit=limit),
    )
    keys = [f"{number}.jpg" for number in range(pictures)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda key: serve(arrival(key), None, needs), keys))
    assert len(rekognition.keys) == len(set(rekognition.keys)) == limit
    stored: list[Any] = list(results.items.values())
    codes = [item.get("error", {}).get("code", item["status"]) for item in stored]
    assert (codes.count("done"), codes.count("over_limit"), len(codes)) == (limit, pictures - limit, pictures)
    month = month_of(needs.now())
    answer = dynamodb.get_item(TableName=table, Key=to_attributes(row_of(month)))
    counted = usage_of(month, from_attributes(answer["Item"]))
    assert (counted.analyses, counted.pictures) == (limit, limit)
    dynamodb.delete_table(TableName=table)
