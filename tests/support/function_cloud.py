"""A small cloud for the functions, in one process.

S3 and DynamoDB are moto's; Rekognition answers what the test tells it, through botocore's real parser.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from moto import mock_aws
from moto.core.models import botocore_stubber

from ingest import app as ingest_app
from ingest.bucket_store import ResultBucket
from ingest.index_table import IndexTable
from ingest.indexed_store import IndexedStore
from ingest.permits import SharedPermits, shared_permits
from ingest.result_store import ResultStore
from ingest.table_store import ResultTable
from ingest.work import Needs as IngestNeeds
from shared.bucket_results import BucketResults
from shared.dynamo_types import from_attributes, to_attributes
from shared.result_objects import iso, milliseconds
from shared.stores import Results, Store
from shared.table_results import TableResults
from shared.usage import Usage, month_of, usage_of
from shared.usage import row_of as usage_row_of
from tests.support.gateway import TOKEN_SHA256
from tests.support.index_table import make_index
from tests.support.result_places import INDEX_TABLE, RESULTS_BUCKET, TABLE, ResultPlaces
from tests.support.s3_events import event_of
from web.bucket_list import BucketList
from web.index_reader import IndexReader
from web.needs import Config as WebConfig
from web.needs import Needs as WebNeeds
from web.needs import PageLimits
from web.pages import ResultList
from web.table_list import TableList
from web.usage import Counters

BUCKET = "imgpipe-uploads-123456789012-eu-west-1-an"
NOW = datetime(2026, 11, 22, 18, 30, 5, 250000, tzinfo=UTC)

LABEL = {"Name": "Cat", "Confidence": 98.76543426513672, "Parents": [{"Name": "Animal"}], "Instances": []}
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "DetectLabels": {"Labels": [LABEL], "LabelModelVersion": "3.0"},
    "DetectModerationLabels": {"ModerationLabels": [], "ModerationModelVersion": "7.0"},
    "DetectFaces": {"FaceDetails": [{"Confidence": 99.5, "BoundingBox": {"Left": -0.01, "Top": 1e-7}}]},
    "DetectText": {
        "TextDetections": [{"DetectedText": "HI", "Type": "LINE", "Id": 0, "Confidence": 88.0}],
        "TextModelVersion": "3.0",
    },
}


class _Raw(io.BytesIO):
    def stream(self, **_options: Any) -> Iterator[bytes]:
        yield self.getvalue()


Answer = Mapping[str, Any] | str | Callable[[dict[str, Any]], Mapping[str, Any]]
"""What Rekognition says: an answer, an error code, or a function from the request to the answer."""


def error(status: int, code: str) -> tuple[AWSResponse, dict[str, Any]]:
    """For a hook on "before-call": the call is not sent, and this error is its answer."""
    parsed = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return AWSResponse("", status, HTTPHeaders(), _Raw()), parsed


@cache
def _session() -> boto3.Session:
    """One for all tests, since it loads the service models; clients are new for each."""
    return boto3.Session("testing", "testing", region_name="eu-west-1")


@dataclass
class Cloud(ResultPlaces):
    """Clients, what Rekognition answers, and what it was asked.

    s3, results_s3, index: clients of their own, as in the functions, so that trouble with pictures, results
    and the index can be told apart. failed_index: "" while it is not complete. slept: the function's pauses;
    its clock stands still but for these. while_asleep: what happens at the end of each.
    """

    s3: Any
    rekognition: Any
    answers: dict[str, Answer] = field(default_factory=lambda: dict(ANSWERS))
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ticks: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    now: datetime = NOW
    page_limits: PageLimits = field(default_factory=PageLimits)
    failed_index: str = "failed"
    slept: list[float] = field(default_factory=list)
    while_asleep: Callable[[], object] = lambda: None

    def _answer(self, request: Any, **_context: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        parameters = json.loads(request.body)
        self.asked.append((operation, parameters))
        answer = self.answers[operation]
        if callable(answer):
            answer = answer(parameters)
        if isinstance(answer, str):
            body = {"__type": answer, "Message": f"{answer} for arn:aws:sts::123456789012:assumed-role/r/f"}
            status = 500 if answer.startswith("Internal") else 400
            return AWSResponse(request.url, status, HTTPHeaders(), _Raw(json.dumps(body).encode()))
        return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(json.dumps(answer).encode()))

    def listen(self) -> None:
        # All handlers of "before-send" are called, and moto's raises for what moto does not know.
        self.rekognition.meta.events.unregister("before-send", botocore_stubber)
        for operation in ANSWERS:
            self.rekognition.meta.events.register_first(f"before-send.rekognition.{operation}", self._answer)

    def keep_versions(self) -> None:
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    @property
    def operations(self) -> list[str]:
        return sorted(operation for operation, _parameters in self.asked)

    def put(self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Store an object and return the event that S3 would send."""
        stored = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=metadata or {})
        return self.event(
            "ObjectCreated:Put",
            key,
            version=stored.get("VersionId"),
            size=len(body),
            etag=stored["ETag"].strip('"'),
        )

    def delete(self, key: str, version: str | None = None) -> dict[str, Any]:
        if version:
            self.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
            return self.event("ObjectRemoved:Delete", key, version=version)
        answer = self.s3.delete_object(Bucket=BUCKET, Key=key)
        if answer.get("DeleteMarker"):
            return self.event("ObjectRemoved:DeleteMarkerCreated", key, version=answer["VersionId"])
        return self.event("ObjectRemoved:Delete", key)

    def event(
        self,
        name: str,
        key: str,
        *,
        version: str | None = None,
        size: int | None = None,
        etag: str = "",
        sequencer: str | None = None,
    ) -> dict[str, Any]:
        """Later than all before it, unless a sequencer is given."""
        sequencer = sequencer or f"0055AED6DCD9{next(self.ticks):06X}"
        return event_of(name, BUCKET, key, sequencer=sequencer, version=version, size=size, etag=etag)

    def ingest(
        self, *events: dict[str, Any], features: str = "labels", limit: str = "", context: Any = None
    ) -> dict[str, int]:
        """Run the function on one event that holds the records of all `events`."""
        records = [record for event in events for record in event["Records"]]
        environment = {**self.environment, "FEATURES": features, "MONTHLY_LIMIT": limit}
        config = ingest_app.Config.from_environment(environment)
        needs = IngestNeeds(
            features=config.features,
            store=self.result_store,
            s3=self.s3,
            rekognition=self.rekognition,
            permits=self.permits(config.monthly_limit),
            now=lambda: self.now,
            clock=lambda: sum(self.slept),
            sleep=self._sleep,
        )
        return ingest_app.serve({"Records": records}, context, needs)

    def permits(self, limit: int | None = None) -> SharedPermits:
        found = shared_permits(self.index, INDEX_TABLE, store=self.result_store, limit=limit)
        return replace(found, now=lambda: self.now)

    def usage(self) -> Usage:
        """What was counted this month."""
        month = month_of(self.now)
        answer = self.index.get_item(TableName=INDEX_TABLE, Key=to_attributes(usage_row_of(month)))
        return usage_of(month, from_attributes(answer.get("Item", {})))

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.while_asleep()

    @property
    def result_store(self) -> IndexedStore:
        index = IndexTable(dynamodb=self.index, table=INDEX_TABLE, sleep=self._sleep)
        return IndexedStore(store=self.bare_results, index=index, now_ms=lambda: milliseconds(iso(self.now)))

    @property
    def bare_results(self) -> ResultStore:
        if self.kind == "table":
            return ResultTable(dynamodb=self.dynamodb, name=TABLE)
        return ResultBucket(s3=self.results_s3, bucket=RESULTS_BUCKET)

    @property
    def results(self) -> Results:
        if self.kind == "table":
            return TableResults(dynamodb=self.dynamodb, table=TABLE)
        return BucketResults(s3=self.results_s3, bucket=RESULTS_BUCKET)

    def result_list(self, first_day: date) -> ResultList:
        if self.kind == "table":
            return TableList(
                dynamodb=self.dynamodb,
                table=TABLE,
                index="by-time",
                failed_index=self.failed_index,
                first_day=first_day,
            )
        failed_index = bool(self.failed_index)
        return BucketList(s3=self.results_s3, bucket=RESULTS_BUCKET, failed_index=failed_index)

    def fail(self, client: Any, operation: str, status: int, code: str) -> None:
        """From now on this operation does nothing and fails with this error."""

        def answer(**_context: Any) -> tuple[AWSResponse, dict[str, Any]]:
            return error(status, code)

        service = client.meta.service_model.service_name
        client.meta.events.register_first(f"before-call.{service}.{operation}", answer, unique_id=operation)

    def heal(self, client: Any, operation: str) -> None:
        service = client.meta.service_model.service_name
        client.meta.events.unregister(f"before-call.{service}.{operation}", unique_id=operation)

    def web(
        self, *, first_day: date | None = None, public_results: bool = True, limit: int | None = None
    ) -> WebNeeds:
        first_day = first_day or NOW.date() - timedelta(days=40)
        config = WebConfig(
            store=Store.from_environment(self.environment),
            index="by-time",
            failed_index=self.failed_index,
            bucket=BUCKET,
            upload_prefix="web/",
            token_sha256=TOKEN_SHA256,
            first_day=first_day,
            min_confidence=70,
            public_results=public_results,
            index_table=INDEX_TABLE,
            monthly_limit=limit,
        )
        return WebNeeds(
            config=config,
            results=self.result_list(first_day),
            s3=self.s3,
            counters=Counters(dynamodb=self.index, table=INDEX_TABLE),
            index=IndexReader(dynamodb=self.index, table=INDEX_TABLE),
            now=lambda: self.now,
            page_limits=self.page_limits,
        )


@contextmanager
def played_cloud(kind: str) -> Iterator[Cloud]:
    """A cloud without versions whose results are in a "table" or a "bucket"."""
    # One try: what is tested is what our code does with an error, not how long botocore waits.
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        signature_version="v4",
        s3={"addressing_style": "virtual"},
    )
    with mock_aws():
        session = _session()
        s3 = config.merge(Config(signature_version="s3v4"))
        cloud = Cloud(
            kind=kind,
            s3=session.client("s3", config=s3),
            results_s3=session.client("s3", config=s3),
            dynamodb=session.client("dynamodb", config=config),
            index=session.client("dynamodb", config=config),
            rekognition=session.client("rekognition", config=config),
        )
        cloud.listen()
        location: Any = {"LocationConstraint": "eu-west-1"}
        for bucket in (BUCKET, RESULTS_BUCKET):
            cloud.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        names = ("objectKey", "day", "analyzedAt", "failed")
        cloud.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[{"AttributeName": "objectKey", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": index,
                    "KeySchema": [
                        {"AttributeName": partition, "KeyType": "HASH"},
                        {"AttributeName": "analyzedAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
                for index, partition in (("by-time", "day"), ("failed", "failed"))
            ],
        )
        make_index(cloud.index, INDEX_TABLE)
        yield cloud
