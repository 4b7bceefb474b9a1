"""Lambda calling the real ingest function, since moto runs none without Docker, and what S3 tells it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

from imgpipe_cli.aws.names import Names
from ingest.app import serve
from ingest.index_table import IndexTable
from ingest.indexed_store import IndexedStore
from ingest.table_store import ResultTable
from ingest.work import Needs
from shared.result_item import ResultItem
from shared.results import shown
from shared.table_rows import stored_in
from tests.support.account import NAMES, RecordingAws, fresh_account
from tests.support.api_server import FakeApi, Request, serving
from tests.support.cli import make_bucket
from tests.support.index_table import EverythingPermitted
from tests.support.s3_events import Event, event_of


def nothing(_event: Event) -> None:
    """What comes before and after a call as a rule."""


@dataclass
class Rekognition:
    """Finds a cat and a face, or fails with the error `trouble`; counts what it is asked.

    asked: the pictures. operations: each with its feature.
    """

    trouble: str = ""
    asked: list[str] = field(default_factory=list)
    operations: list[tuple[str, str]] = field(default_factory=list)

    def detect_labels(self, **parameters: Any) -> dict[str, Any]:
        self._asked_for("labels", parameters)
        return {"Labels": [{"Name": "Cat", "Confidence": 98.0}], "LabelModelVersion": "3.0"}

    def detect_faces(self, **parameters: Any) -> dict[str, Any]:
        self._asked_for("faces", parameters)
        return {"FaceDetails": [{"Confidence": 99.0}]}

    detect_moderation_labels = detect_text = detect_labels

    def _asked_for(self, feature: str, parameters: dict[str, Any]) -> None:
        key = parameters["Image"]["S3Object"]["Name"]
        self.asked.append(key)
        self.operations.append((feature, key))
        if self.trouble:
            raise ClientError({"Error": {"Code": self.trouble, "Message": "no"}}, feature)


@dataclass
class FakeLambda:
    """One call at a time. before and after: what happens around a call; they may raise in its place.

    features: what the pipeline asks for.
    """

    names: Names
    features: tuple[str, ...] = ("labels",)
    rekognition: Rekognition = field(default_factory=Rekognition)
    events: list[Event] = field(default_factory=list)
    before: Callable[[Event], object] = nothing
    after: Callable[[Event], object] = nothing
    slept: list[float] = field(default_factory=list)
    _one: threading.Lock = field(default_factory=threading.Lock)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            made = boto3.client(service, region_name=self.names.region)  # type: ignore[call-overload]
            self._clients[service] = made
        return self._clients[service]

    def invoke(self, event: Event) -> dict[str, Any]:
        """Lambda's answer to a synchronous call."""
        with self._one:
            self.before(event)
            answer = self.run(event)
            self.after(event)
        return answer

    def run(self, event: Event) -> dict[str, Any]:
        self.events.append(event)
        needs = Needs(
            features=self.features,
            store=IndexedStore(
                store=ResultTable(dynamodb=self.client("dynamodb"), name=self.names.table),
                index=IndexTable(dynamodb=self.client("dynamodb"), table=self.names.index_table),
            ),
            s3=self.client("s3"),
            rekognition=self.rekognition,
            permits=EverythingPermitted(),
            clock=lambda: sum(self.slept),
            sleep=self.slept.append,
        )
        try:
            answer = serve(event, None, needs)
        except Exception as error:
            text = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(text.encode())}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}

    # --- the account around it -------------------------------------------------------------------

    def make(self) -> None:
        """The bucket, the table and the queue of a pipeline."""
        make_bucket(self.client("s3"))
        for table, keys in ((self.names.table, ["objectKey"]), (self.names.index_table, ["pk", "sk"])):
            kinds = zip(keys, ("HASH", "RANGE"), strict=False)
            self.client("dynamodb").create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in kinds],
            )
        self.client("sqs").create_queue(QueueName=self.names.queue, tags=self.names.tags)

    def put(self, key: str, body: bytes, *, sequencer: str = "01") -> Event:
        """Upload a picture; the event that S3 sends."""
        stored = self.client("s3").put_object(Bucket=self.names.bucket, Key=key, Body=body)
        return self.event("ObjectCreated:Put", key, sequencer, stored.get("VersionId"), len(body))

    def delete(self, key: str, *, sequencer: str = "09") -> Event:
        gone = self.client("s3").delete_object(Bucket=self.names.bucket, Key=key)
        return self.event("ObjectRemoved:DeleteMarkerCreated", key, sequencer, gone["VersionId"])

    def event(self, name: str, key: str, sequencer: str, version: str | None, size: int = 0) -> Event:
        bucket = self.names.bucket
        return event_of(name, bucket, key, sequencer=sequencer, version=version, size=size, etag="e")

    @property
    def queue_url(self) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=self.names.queue)["QueueUrl"])

    def give_up(self, *events: Event, error: str = "Task timed out after 120.00 seconds") -> None:
        """Every attempt at the events failed: each comes into the failure queue."""
        for event in events:
            body = {"requestPayload": event, "responsePayload": {"errorMessage": error}}
            self.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(body))

    def fail(self, *events: Event) -> None:
        """The events are tried, fail, and come into the failure queue."""
        for event in events:
            answer = self.run(event)
            self.give_up(event, error=json.loads(answer["Payload"].read())["errorMessage"])

    def waiting(self) -> int:
        """How many messages the queue holds that nobody has in hand."""
        name = "ApproximateNumberOfMessages"
        found = self.client("sqs").get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def results(self) -> dict[str, ResultItem]:
        """The stored results as the API shows them."""
        rows = self.client("dynamodb").scan(TableName=self.names.table)["Items"]
        items = [shown(stored_in(row)) for row in rows]
        return {one["objectKey"]: one for one in items if one}


@contextmanager
def serving_results(lambda_: FakeLambda) -> Iterator[FakeApi]:
    """The API, which answers from the table of the results, whatever stands there."""
    with serving() as api:

        def read(_request: Request) -> None:
            api.stored = lambda_.results()

        api.before = read
        yield api


class LambdaAccount(RecordingAws):
    """An account with Lambda calling the ingest function."""

    def __init__(self) -> None:
        super().__init__()
        self.lambda_ = FakeLambda(NAMES)

    @classmethod
    @contextmanager
    def fresh(cls) -> Iterator[Self]:
        """With a function and its queues, and nothing else; no call outlives it."""
        with fresh_account():
            aws = cls()
            aws.lambda_.make()
            yield aws
            no_call_outlives_the_account()


def no_call_outlives_the_account() -> None:
    """Threads of a retry that nobody waited for must not reach for the real AWS once moto is gone."""
    for thread in threading.enumerate():
        if thread.name.startswith("retry-"):
            thread.join()
