"""Whatever calls the ingest function: it does what is right, or leaves the event where somebody sees it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from ingest import app
from ingest.app import Unfinished
from ingest.work import Needs
from shared.result_objects import INDEX
from tests.hostile.expectations import ROW_TIMEOUT_S, rows
from tests.hostile.payloads import PAYLOADS, PayloadRow
from tests.support.function_cloud import Cloud, played_cloud
from tests.support.index_table import EverythingPermitted
from tests.support.picture_heads import jpeg
from tests.support.result_places import RESULTS_BUCKET

pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)
QUEUE = [row for row in PAYLOADS if row.ending == "queue"]


@pytest.fixture(scope="module", params=["table", "bucket"])
def shared(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with played_cloud(request.param) as found:
        found.keep_versions()
        yield found


@pytest.fixture
def cloud(shared: Cloud) -> Iterator[Cloud]:
    """In which no result is stored."""
    yield shared
    shared.lose("good.jpg")
    if shared.kind == "bucket":
        for name in shared.objects(INDEX):
            shared.results_s3.delete_object(Bucket=RESULTS_BUCKET, Key=name)
    shared.asked.clear()


def _served(cloud: Cloud, payload: Any) -> dict[str, int]:
    needs = Needs(
        features=("labels",),
        store=cloud.result_store,
        s3=cloud.s3,
        rekognition=cloud.rekognition,
        permits=EverythingPermitted(),
        now=lambda: cloud.now,
        clock=lambda: sum(cloud.slept),
        sleep=cloud.slept.append,
    )
    return app.serve(payload, None, needs)


@rows(PAYLOADS)
def test_a_payload_ends_as_it_should(cloud: Cloud, row: PayloadRow) -> None:
    payload = row.change(cloud.put("good.jpg", jpeg()))
    if row.ending == "queue":
        with pytest.raises(Unfinished, match=r"1 of 1 records need another try: a record cannot be read"):
            _served(cloud, payload)
    else:
        assert _served(cloud, payload)["records"] >= 0
    item = cloud.stored("good.jpg")
    assert (item or {}).get("status") == ("done" if row.ending == "done" else None)
    assert len(cloud.asked) == (1 if row.ending == "done" else 0)  # and paid once, however often it came
    assert [key for _at, key in cloud.indexed()] == (["good.jpg"] if row.ending == "done" else [])


@rows(QUEUE)
def test_a_record_that_cannot_be_read_fails_no_other(cloud: Cloud, row: PayloadRow) -> None:
    right = cloud.put("good.jpg", jpeg())
    (bad,) = row.change(copy.deepcopy(cloud.put("bad.jpg", jpeg())))["Records"]
    with pytest.raises(Unfinished, match=r"1 of 2 records"):
        _served(cloud, {"Records": [bad, *right["Records"]]})
    item = cloud.stored("good.jpg")
    assert item is not None
    assert item["status"] == "done"


def test_no_sequencer_can_shut_out_the_events_to_come(cloud: Cloud) -> None:
    """What is no hexadecimal text sorts after all that are: taken for one, it would be the newest ever."""
    forged = cloud.put("good.jpg", jpeg())
    forged["Records"][0]["s3"]["object"]["sequencer"] = "zz"
    with pytest.raises(Unfinished):
        _served(cloud, forged)
    _served(cloud, newer := cloud.put("good.jpg", jpeg(320, 200)))
    item = cloud.stored("good.jpg")
    assert item is not None
    assert item["versionId"] == newer["Records"][0]["s3"]["object"]["versionId"]
