"""A small cloud for the functions.

S3 and DynamoDB are moto's; Rekognition answers what the test tells it, through botocore's real parser.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus, urlencode

import boto3
import pytest
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
from shared import index_rows
from shared.bucket_results import BucketResults
from shared.dynamo_types import from_attributes, to_attributes
from shared.result_item import Stored
from shared.result_objects import (
    INDEX,
    dump,
    entries_of,
    iso,
    load,
    milliseconds,
    name_of,
    parse_index,
    result_object,
)
from shared.stores import Results, Store
from shared.table_results import TableResults
from shared.table_rows import row_of, stored_in
from shared.usage import Usage, month_of, usage_of
from shared.usage import row_of as usage_row_of
from tests.support.index_table import make_index
from web.bucket_list import BucketList
from web.index_reader import IndexReader
from web.needs import Config as WebConfig
from web.needs import Needs as WebNeeds
from web.needs import PageLimits
from web.pages import ResultList
from web.table_list import TableList
from web.usage import Counters

BUCKET = "imgpipe-uploads-123456789012-eu-west-1-an"
TABLE = "imgpipe-results"
INDEX_TABLE = "imgpipe-index"
RESULTS_BUCKET = "imgpipe-results-123456789012-eu-west-1-an"
NOW = datetime(2026, 11, 22, 18, 30, 5, 250000, tzinfo=UTC)
TOKEN = "correct horse battery staple"
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()

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


def jpeg(width: int = 640, height: int = 480, *, metadata: int = 0, tail: bytes = b"\xff\xd9") -> bytes:
    """The header of a JPEG, with `metadata` further bytes before its frame header."""
    segments = b""
    while metadata > 0:
        size = min(metadata, 65_000)
        segments += b"\xff\xe1" + struct.pack(">H", size + 2) + bytes(size)
        metadata -= size
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9) + segments + frame + tail


def png(width: int = 640, height: int = 480) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


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
class Cloud:
    """Clients, what Rekognition answers, and what it was asked.

    kind: where results are kept, "table" or "bucket". results_s3, index: clients of their own, as in the
    functions, so that trouble with pictures, results and the index can be told apart. failed_index: "" while
    it is not complete. slept: the function's pauses; its clock stands still but for these. while_asleep: what
    happens at the end of each.
    """

    kind: str
    s3: Any
    results_s3: Any
    dynamodb: Any
    index: Any
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
        thing: dict[str, Any] = {
            "key": quote_plus(key, safe="/"),
            "eTag": etag,
            "sequencer": sequencer or f"0055AED6DCD9{next(self.ticks):06X}",
        }
        if size is not None:
            thing["size"] = size
        if version is not None:
            thing["versionId"] = version
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-west-1",
            "eventTime": "2026-11-22T18:30:00.000Z",
            "eventName": name,
            "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
            "requestParameters": {"sourceIPAddress": "192.0.2.1"},
            "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "imgpipe-created",
                "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
                "object": thing,
            },
        }
        return {"Records": [record]}

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

    # --- the store of the results --------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What tells the functions where the results and their index are."""
        store = {"TABLE_NAME": TABLE} if self.kind == "table" else {"RESULTS_BUCKET": RESULTS_BUCKET}
        return {**store, "INDEX_TABLE": INDEX_TABLE}

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

    @property
    def results_client(self) -> Any:
        return self.dynamodb if self.kind == "table" else self.results_s3

    def operation(self, what: str) -> str:
        """The operation that does "read" or "write" for one result."""
        names = {"table": ("GetItem", "PutItem"), "bucket": ("GetObject", "PutObject")}[self.kind]
        return names[("read", "write").index(what)]

    def stored(self, key: str) -> dict[str, Any] | None:
        if self.kind == "table":
            answer = self.dynamodb.get_item(TableName=TABLE, Key={"objectKey": {"S": key}})
            return dict(stored_in(answer["Item"])) if "Item" in answer else None
        try:
            answer = self.results_s3.get_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of(key)))
        except self.results_s3.exceptions.NoSuchKey:
            return None
        return dict(load(answer["Body"].read()))

    def objects(self, prefix: str) -> list[str]:
        answer = self.results_s3.list_objects_v2(Bucket=RESULTS_BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in answer.get("Contents", [])]

    def rows(self) -> set[tuple[str, str, str]]:
        """(pk, sk, key) of all rows by which pictures are found."""
        pages = self.index.get_paginator("scan").paginate(TableName=INDEX_TABLE)
        rows = [row for page in pages for row in page["Items"]]
        return {(row["pk"]["S"], row["sk"]["S"], row["key"]["S"]) for row in rows if "key" in row}

    def missing_rows(self, item: Stored) -> set[tuple[str, str]]:
        """(pk, sk) of the rows that a result must have, and that are not there."""
        wanted = {index_rows.row_of(entry, item["objectKey"]) for entry in index_rows.entries(item)}
        keys: Any = [to_attributes({"pk": pk, "sk": sk}) for pk, sk in wanted]
        found = self.dynamodb.batch_get_item(RequestItems={INDEX_TABLE: {"Keys": keys}})
        return wanted - {(row["pk"]["S"], row["sk"]["S"]) for row in found["Responses"][INDEX_TABLE]}

    def indexed(self) -> list[tuple[str, str]]:
        """(time, key) of all entries of the index by time."""
        if self.kind == "table":
            rows = self.dynamodb.scan(TableName=TABLE, IndexName="by-time")["Items"]
            return [(row["analyzedAt"]["S"], row["objectKey"]["S"]) for row in rows]
        return [entry for key in self.objects(INDEX) if (entry := parse_index(key))]

    def store(self, key: str, analyzed_at: str, **more: Any) -> None:
        """Put a result as if it had been analyzed at that time."""
        base = {"objectKey": key, "status": "done", "analyzedAt": analyzed_at, "day": analyzed_at[:10]}
        item = {**base, "sequencer": "0" * 32, **more}
        if self.kind == "table":
            self.dynamodb.put_item(TableName=TABLE, Item=row_of(item))
            return
        name = result_object(name_of(key))
        for entry in entries_of(item):
            self.results_s3.put_object(Bucket=RESULTS_BUCKET, Key=entry, Body=b"")
        self.results_s3.put_object(Bucket=RESULTS_BUCKET, Key=name, Body=dump(item))

    def lose(self, key: str) -> None:
        """Take a result away, not by way of the function."""
        if self.kind == "table":
            self.dynamodb.delete_item(TableName=TABLE, Key={"objectKey": {"S": key}})
        else:
            self.results_s3.delete_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of(key)))

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


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own AWS settings reaches a test."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["table", "bucket"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Every test with a cloud runs once for each store of results, unless it names one."""
    return str(request.param)


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


@pytest.fixture
def unversioned_cloud(store_kind: str) -> Iterator[Cloud]:
    with played_cloud(store_kind) as cloud:
        yield cloud


@pytest.fixture
def cloud(unversioned_cloud: Cloud) -> Cloud:
    """With versions on, as the pipeline sets its bucket up."""
    unversioned_cloud.keep_versions()
    return unversioned_cloud


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


Call = Callable[..., Answered]


@pytest.fixture
def call() -> Call:
    """Send a request as API Gateway would, with the token unless told otherwise."""

    def send(
        serve: Callable[..., dict[str, Any]],
        deps: Any,
        route: str,
        query: Mapping[str, str] | str = "",
        *,
        body: str | None = None,
        base64: bool = False,
        token: str | None = f"Bearer {TOKEN}",
        path: Mapping[str, str] | None = None,
    ) -> Answered:
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": "/prod/anything",
            "rawQueryString": query if isinstance(query, str) else urlencode(query, doseq=True),
            "headers": {"Authorization": token} if token is not None else {},
            "requestContext": {"stage": "prod"},
            "isBase64Encoded": base64,
        }
        if body is not None:
            event["body"] = body
        if path is not None:
            event["pathParameters"] = path
        answer = serve(event, SimpleNamespace(aws_request_id="request-1"), deps)
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert answer["headers"]["Referrer-Policy"] == "no-referrer"
        return Answered(answer["statusCode"], answer["headers"], answer["body"])

    return send


@pytest.fixture
def pictures() -> SimpleNamespace:
    """Functions that make picture headers: `jpeg(width, height, ...)` and `png(width, height)`."""
    return SimpleNamespace(jpeg=jpeg, png=png)
