"""Random months of a bucket: what was counted is what Rekognition was asked, and what is there is found.

Copies, forced pictures, removals, events that come late or twice, retries by hand, other features, newer
models, refusals, throttling, limits, and a clock that steps back.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ingest.app import Unfinished
from shared.dynamo_types import from_attributes
from shared.events import AGAIN, BY_HAND
from shared.forced import metadata_of
from shared.index_rows import certainties, label_pk
from shared.results import shown
from shared.usage import month_of
from tests.lambda_src.test_web_find import find, label, labels
from tests.support import exhaustive
from tests.support.function_cloud import BUCKET
from tests.support.picture_heads import jpeg
from tests.support.result_places import INDEX_TABLE

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

OPERATIONS = {"DetectLabels": "labels", "DetectFaces": "faces", "DetectText": "text"}
FEATURES = ("labels", "labels,text", "labels,faces", "text", "labels,faces,text")
REFUSED = "InvalidImageFormatException"
NAMES = ("Cat", "Dog", "Sea")
STEPS = 100
DAY_S = 24 * 3600


class Month:
    """ended: how often Rekognition answered or refused, by feature; throttled calls are asked again.

    over: what was counted and never came to that.
    """

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self.cloud, self.chance = cloud, random.Random(seed)
        self.keys = [f"{seed}/{number}.jpg" for number in range(5)]
        self.bodies = [jpeg(tail=f"{seed}-{number}".encode()) for number in range(4)]
        self.features, self.limit, self.model = "labels", "", "1"
        self.trouble: dict[str, str] = {}
        self.sent: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []
        self.ended: Counter[str] = Counter()
        self.over = dict.fromkeys(OPERATIONS.values(), 0)
        cloud.now = datetime(2027 + seed // 12, 1 + seed % 12, 2, tzinfo=UTC)
        cloud.answers.update({name: partial(self._answer, feature) for name, feature in OPERATIONS.items()})

    def _answer(self, feature: str, _asked: Any) -> Any:
        trouble = self.trouble.get(feature, "")
        self.ended[feature] += trouble in ("", REFUSED)
        if trouble:
            return trouble
        chance = random.Random(f"{self.keys[0]} {feature} {self.ended[feature]}")
        found = [label(name, chance.uniform(50, 100)) for name in chance.sample(NAMES, 2)]
        answers = {
            "labels": {"Labels": found, "LabelModelVersion": self.model},
            "text": {"TextDetections": [], "TextModelVersion": self.model},
        }
        return answers.get(feature, {"FaceDetails": []})

    def step(self) -> None:
        chance, cloud = self.chance, self.cloud
        cloud.now += timedelta(seconds=chance.choice((1, 60, 3600, 3600, -200)))
        key = chance.choice(self.keys)
        match chance.choices(range(8), weights=(8, 2, 2, 2, 2, 2, 2, 16))[0]:
            case 0:
                self._send(cloud.put(key, chance.choice(self.bodies)))
            case 1:
                self._send(cloud.put(key, chance.choice(self.bodies), metadata=metadata_of(key)))
            case 2:
                self._send(cloud.delete(key))
            case 3 if current := self._current(key):
                self._send(cloud.delete(key, current["VersionId"]))
            case 4 if self.sent:
                self.waiting.append(chance.choice(self.sent))
            case 5:
                self._by_hand(key)
            case 6:
                self.features = chance.choice(FEATURES)
                self.limit = chance.choice(("", "", "10", "30"))
                self.model = str(int(self.model) + chance.randrange(2))
                trouble = chance.choice((REFUSED, "ThrottlingException", "InternalServerError"))
                self.trouble = dict.fromkeys(chance.sample(list(OPERATIONS.values()), 2), trouble)
                self.trouble = chance.choice(({}, self.trouble))
            case _ if self.waiting:
                self.deliver(self.waiting.pop(chance.randrange(len(self.waiting))))

    def _send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)
        self.waiting.append(event)

    def _current(self, key: str) -> Any:
        try:
            return self.cloud.s3.head_object(Bucket=BUCKET, Key=key)
        except ClientError:
            return None

    def _by_hand(self, key: str) -> None:
        """`imgpipe retry`, with `--again` where there is something to be replaced."""
        current, stored = self._current(key), self.cloud.stored(key)
        if not current:
            return
        event = self.cloud.event("ObjectCreated:Put", key, version=current["VersionId"], sequencer="0")
        models = stored["models"] if stored and stored["status"] == "done" else {}
        again = {feature: model for feature, model in models.items() if model != self.model}
        event["Records"][0] |= {**BY_HAND, AGAIN: again}
        self.deliver(event)

    def deliver(self, event: dict[str, Any]) -> None:
        before = self.cloud.usage()
        try:
            self.cloud.ingest(event, features=self.features, limit=self.limit)
        except Unfinished:
            self.waiting.append(event)
        after = self.cloud.usage()
        over = {one: after.analyzed.get(one, 0) - self.ended[one] - self._open()[one] for one in self.over}
        for feature, count in over.items():
            # What is counted and not yet answered may be taken over from another picture instead.
            taken_over = after.reused.get(feature, 0) - before.reused.get(feature, 0)
            assert self.over[feature] <= count <= self.over[feature] + taken_over, feature
        self.over = over
        assert after.analyses == before.analyses or not self.limit or after.analyses <= int(self.limit)

    def _open(self) -> Counter[str]:
        """What is counted and is to be asked for again."""
        pages = self.cloud.index.get_paginator("scan").paginate(TableName=INDEX_TABLE)
        rows = [from_attributes(row) for page in pages for row in page["Items"]]
        mine = [row for row in rows if row.get("month") == month_of(self.cloud.now)]
        return Counter(feature for row in mine for feature in row["counted"])

    def end(self) -> None:
        """All that waits comes to its end."""
        self.trouble, self.limit = {}, ""
        self.cloud.now += timedelta(seconds=DAY_S)
        while self.waiting:
            self.deliver(self.waiting.pop(0))


@pytest.mark.loops
@pytest.mark.timeout(3_600)
def test_what_was_counted_was_asked_and_what_is_there_is_found(call: Call, cloud: Cloud) -> None:
    keys: list[str] = []
    for seed in exhaustive.points(46, keep=1):
        month = Month(cloud, seed)
        for _ in range(STEPS):
            month.step()
        month.end()
        keys += month.keys
    items = [item for key in keys if (one := cloud.result_store.read(key)) and (item := shown(one))]
    for least in (0.0, 75.5):
        having = {
            name: {one["objectKey"] for one in items if certainties(one).get(label_pk(name), -1) >= least}
            for name in NAMES
        }
        for name, expected in having.items():
            found = find(call, cloud, 7, label=name, min_confidence=f"{least}")
            assert (set(found), len(found)) == (expected, len(expected))
        counted = labels(call, cloud, min_confidence=f"{least}")
        assert counted == [(name, len(of)) for name, of in sorted(having.items()) if of]
