"""S3 and Lambda's asynchronous invocation, played around the real ingest function.

S3 sends an event for each change of a key, at least once and in any order. Lambda tries an event three times
in all and then puts it into the failure queue. Any call that the function sends may fail, lose its answer, be
the last one before the function is stopped, or have another invocation run from beginning to end beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError, ReadTimeoutError

from imgpipe_cli.aws.names import Names
from imgpipe_cli.diagnose.retry.calling import event_of
from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent, entry_of
from imgpipe_cli.diagnose.retry.judging import Current, judged, settled
from imgpipe_cli.pictures.waiting import is_final
from ingest.app import Unfinished
from ingest.reading import SHOWN_WITHIN
from shared.index_rows import is_indexed
from shared.result_item import ResultItem, Stored
from shared.result_objects import index_of, iso
from shared.results import REMOVED
from tests.support.function_cloud import ANSWERS, BUCKET, Cloud, error
from tests.support.picture_heads import jpeg
from tests.support.result_places import RESULTS_BUCKET

ATTEMPTS = 3
"""Lambda tries an event once, and two times again."""

NAMES = Names("imgpipe", "123456789012", "eu-west-1")

FEATURES = {"DetectLabels": "labels", "DetectFaces": "faces"}

Event = dict[str, Any]
Billed = tuple[str, str, str]
"""Key, version, feature: what should be paid once."""

Place = Literal["picture", "current", "read", "write", "tidy", "rows", "old rows", "labels", "faces"]
"""Calls: the picture's bytes, what is current, the store of results (tidy: its index by time), the rows by
which it is found and those that it no longer has, Rekognition."""

How = Literal["throttled", "broken", "denied", "refused", "lost", "killed before", "killed after"]

_ERRORS: Mapping[str, tuple[int, str]] = {
    "throttled": (400, "ThrottlingException"),
    "broken": (500, "InternalServerError"),
    "denied": (403, "AccessDenied"),
    "refused": (400, "InvalidImageFormatException"),
}


class Killed(BaseException):
    """The function is stopped: nothing in it can catch that."""


@dataclass(eq=False)
class Delivery:
    """One event on its way, with the records of all `events` in this order."""

    events: Sequence[Event]
    attempts_left: int = ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What happens at the n-th call to a place; an error meets that call and all later ones.

    lost: the call is carried out, and its answer never comes.
    """

    place: Place
    how: How
    nth: int = 1


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Another delivery runs from beginning to end, with its own troubles, before the n-th call to a place."""

    place: Place
    delivery: Delivery
    nth: int = 1
    troubles: tuple[Trouble, ...] = ()


@dataclass(eq=False)
class Invocation:
    """One run of the function.

    single: with one event. alone: no other ran at the same time. beside: what those others paid.
    """

    before: Mapping[str, Stored | None]
    single: bool
    troubled: bool
    billed: Counter[Billed] = field(default_factory=Counter)
    beside: Counter[Billed] = field(default_factory=Counter)
    alone: bool = True


@dataclass(eq=False)
class History:
    """The past of a bucket, the events on their way, and what was paid.

    cloud: may serve many histories; all keys of each begin with its `name`.
    versions: each key's versions and delete markers, the oldest first. items: what is stored, as last seen.
    lost: what was paid and could not be stored, or was paid by two at once.
    displaced: what was stored and gave way to another version or to a removal.
    turned_back: keys of which something was deleted for good or replayed.
    unknown: keys that lost an event, until they were asked for by hand.
    """

    cloud: Cloud
    name: str
    features: str = "labels"
    waiting: list[Delivery] = field(default_factory=list)
    failed: list[Delivery] = field(default_factory=list)
    sent: list[Event] = field(default_factory=list)
    versions: dict[str, list[str]] = field(default_factory=dict)
    ages: dict[str, int] = field(default_factory=dict)
    billed: Counter[Billed] = field(default_factory=Counter)
    lost: Counter[Billed] = field(default_factory=Counter)
    displaced: Counter[Billed] = field(default_factory=Counter)
    turned_back: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    items: dict[str, Stored | None] = field(default_factory=dict)
    running: list[Invocation] = field(default_factory=list)
    ticks: int = 0

    def __post_init__(self) -> None:
        self.cloud.answers.update({operation: partial(self._seen, operation) for operation in FEATURES})

    # --- the bucket ----------------------------------------------------------------------------

    def put(self, key: str, body: bytes | None = None) -> Event:
        """A new version, by default a picture of a width of its own; an empty body is a folder.

        No two histories share bytes: neither reuses what the other has paid for, nor waits for its claims.
        """
        key, sequencer = self._key(key), self._sequencer()
        body = jpeg(100 + self.ticks, 100) if body is None else body
        body += self.name.encode() if body else b""
        stored = self.cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        version, etag = stored["VersionId"], stored["ETag"].strip('"')
        self.versions.setdefault(key, []).append(version)
        self.ages[version] = self.ticks
        return self._send(
            "ObjectCreated:Put", key, version=version, size=len(body), etag=etag, sequencer=sequencer
        )

    def delete(self, key: str) -> Event:
        """A delete marker on top."""
        key, sequencer = self._key(key), self._sequencer()
        marker = self.cloud.s3.delete_object(Bucket=BUCKET, Key=key)["VersionId"]
        self.versions.setdefault(key, []).append(marker)
        return self._send("ObjectRemoved:DeleteMarkerCreated", key, version=marker, sequencer=sequencer)

    def delete_for_good(self, key: str, place: int = -1) -> Event:
        """One version or delete marker: the newest one, or the one at that place."""
        key, sequencer = self._key(key), self._sequencer()
        version = self.versions[key].pop(place)
        self.turned_back.add(key)
        self.cloud.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
        return self._send("ObjectRemoved:Delete", key, version=version, sequencer=sequencer)

    def replay(self, event: Event) -> None:
        """The event is sent again by hand, without its sequencer."""
        (record,) = json.loads(json.dumps(event))["Records"]
        del record["s3"]["object"]["sequencer"]
        self.turned_back.add(key_of(record))
        self.waiting.append(Delivery([{"Records": [record]}]))

    def current(self, key: str) -> str | None:
        """The version that whoever reads the bucket gets."""
        try:
            return str(self.cloud.s3.head_object(Bucket=BUCKET, Key=key)["VersionId"])
        except ClientError as problem:
            assert problem.response["Error"]["Code"] == "404"
            return None

    def stack(self, key: str) -> list[str]:
        """Its versions and delete markers, the oldest first."""
        return self.versions.get(self._key(key), [])

    def _key(self, key: str) -> str:
        return f"{self.name}/{key}"

    def _sequencer(self) -> str:
        """Hexadecimal texts of different lengths, in the order of the changes."""
        self.ticks += 1
        return f"0055AED6DCD9{self.ticks:04X}{('', '3F', '0A10')[self.ticks % 3]}".rstrip("0")

    def _send(self, name: str, key: str, **more: Any) -> Event:
        event = self.cloud.event(name, key, **more)
        event["Records"][0]["eventTime"] = iso(self.cloud.now)
        self.sent.append(event)
        self.waiting.append(Delivery([event]))
        return event

    # --- Lambda --------------------------------------------------------------------------------

    def deliver(self, delivery: Delivery, *troubles: Trouble | Beside) -> None:
        """One attempt; what it did is checked at once."""
        self.waiting.remove(delivery)
        keys = {key_of(record) for event in delivery.events for record in event["Records"]}
        run = Invocation(
            before={key: self.items.get(key) for key in keys & self.versions.keys()},
            single=len(delivery.events) == 1,
            troubled=bool(troubles),
        )
        for other in self.running:
            other.alone = run.alone = False
        self.running.append(run)
        try:
            with ExitStack() as hooks:
                for trouble in troubles:
                    hooks.enter_context(self._troubled(trouble, run))
                self.cloud.ingest(*delivery.events, features=self.features)
        except (Unfinished, Killed):
            delivery.attempts_left -= 1
            (self.waiting if delivery.attempts_left else self.failed).append(delivery)
        finally:
            self.running.remove(run)
            for other in self.running:
                other.beside += run.billed
            self.cloud.now += timedelta(seconds=1)
        self._check(run)

    def several_in_one(self, *more: Event) -> None:
        """The two deliveries that are next come as one, with further records between them."""
        one, two = self.waiting[:2]
        self.waiting[:2] = [Delivery([*one.events, *more, *two.events])]

    def run_out(self) -> None:
        """Everything on its way comes to its end, without further trouble."""
        while self.waiting:
            self.deliver(self.waiting[0])

    def by_hand(self, key: str, *troubles: Trouble | Beside) -> bool:
        """What `imgpipe retry` does for a key long after all tries; whether there was something to try again.

        What is on its way all the same may come later.
        """
        events = [event for delivery in self.failed for event in queued(delivery) if event.key == key]
        picture = judged(key, *self._look(key), events, datetime.max.replace(tzinfo=UTC))
        if picture.state != "failed":
            return False
        call = Delivery([event_of(picture, NAMES)], attempts_left=1)
        self.waiting.append(call)
        self.deliver(call, *troubles)
        # Lambda puts a call of ours into no queue.
        self.failed = [one for one in self.failed if one is not call and not self._settled(one)]
        current, item = self._look(key)
        if current and item and is_final(item, current.version_id) and not item.get("notIndexed"):
            self.unknown.discard(key)
        return True

    def _settled(self, delivery: Delivery) -> bool:
        return all(settled(event, *self._look(event.key)) for event in queued(delivery))

    def _look(self, key: str) -> tuple[Current | None, ResultItem | None]:
        item = self.cloud.results.get(key)
        try:
            head = self.cloud.s3.head_object(Bucket=BUCKET, Key=key)
        except ClientError:
            return None, item
        at, etag = head["LastModified"], head["ETag"].strip('"')
        return Current(head["VersionId"], etag, head["ContentLength"], at), item

    def lose(self, delivery: Delivery) -> None:
        """S3 never sends it, as while the bucket has no trigger."""
        self.waiting.remove(delivery)
        self.unknown |= {key_of(record) for event in delivery.events for record in event["Records"]}

    def redrive(self) -> None:
        """What is in the failure queue is sent once more, later than S3 hides an object or a claim lasts."""
        self.cloud.now += SHOWN_WITHIN
        self.waiting += [Delivery(delivery.events) for delivery in self.failed]
        self.failed.clear()
        self.run_out()

    @contextmanager
    def _troubled(self, trouble: Trouble | Beside, run: Invocation) -> Iterator[None]:
        calls = 0

        def before(**_context: Any) -> Any:
            nonlocal calls
            if self.running[-1] is not run:
                return None
            calls += 1
            return self._before(trouble, calls)

        def after(**_context: Any) -> None:
            if self.running[-1] is run:
                _after(trouble, calls)

        client, name = self._call(trouble.place)
        client.meta.events.register_first(f"before-call.{name}", before)
        client.meta.events.register_first(f"after-call.{name}", after)
        try:
            yield
        finally:
            client.meta.events.unregister(f"before-call.{name}", before)
            client.meta.events.unregister(f"after-call.{name}", after)

    def _before(self, trouble: Trouble | Beside, number: int) -> Any:
        if isinstance(trouble, Beside):
            if number == trouble.nth and trouble.delivery in self.waiting:
                self.deliver(trouble.delivery, *trouble.troubles)
            return None
        if trouble.how == "killed before" and number == trouble.nth:
            raise Killed
        return error(*_ERRORS[trouble.how]) if trouble.how in _ERRORS and number >= trouble.nth else None

    def _call(self, place: Place) -> tuple[Any, str]:
        cloud = self.cloud
        store = "dynamodb" if cloud.kind == "table" else "s3"
        calls: dict[Place, tuple[Any, str]] = {
            "picture": (cloud.s3, "s3.GetObject"),
            "current": (cloud.s3, "s3.HeadObject"),
            "read": (cloud.results_client, f"{store}.{cloud.operation('read')}"),
            "write": (cloud.results_client, f"{store}.{cloud.operation('write')}"),
            "tidy": (cloud.results_s3, "s3.DeleteObject"),
            "rows": (cloud.index, "dynamodb.BatchWriteItem"),
            "old rows": (cloud.index, "dynamodb.DeleteItem"),
            "labels": (cloud.rekognition, "rekognition.DetectLabels"),
            "faces": (cloud.rekognition, "rekognition.DetectFaces"),
        }
        return calls[place]

    # --- Rekognition ---------------------------------------------------------------------------

    def _seen(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """An answer, which is billed. Labels tell the version they are about."""
        picture = asked["Image"]["S3Object"]
        self.running[-1].billed[picture["Name"], picture["Version"], FEATURES[operation]] += 1
        if operation == "DetectLabels":
            return {"Labels": [{"Name": picture["Version"], "Confidence": 90.0}], "LabelModelVersion": "3.0"}
        return dict(ANSWERS[operation])

    # --- what must be true ---------------------------------------------------------------------

    def item(self, key: str) -> Stored | None:
        return self.cloud.result_store.read(key)

    def _check(self, run: Invocation) -> None:
        """After each invocation."""
        self.billed += run.billed
        after = {key: self.item(key) for key in run.before}
        for key, before in run.before.items():
            item = after[key]
            self._check_age(before, item)
            had, has = answers(before), answers(item)
            if before and item and before.get("versionId") == item.get("versionId"):
                assert had <= has, "what was paid for is kept"
            # Not what `run` found at its beginning: another one may have stored something since.
            gone = answers(self.items.get(key)) - has
            self.displaced.update((key, *answer) for answer in gone)
            self._check_rows(key, item)
        self.items |= after
        for (key, version, feature), count in run.billed.items():
            if run.single and run.alone:
                assert count == 1, "asked once"
                assert (version, feature) not in answers(run.before[key]), "paid though it was stored"
            if (version, feature) not in answers(after[key]):
                assert run.troubled or not (run.single and run.alone), "paid and not stored"
                self.lost[key, version, feature] += count
            elif run.beside[key, version, feature]:
                self.lost[key, version, feature] += count
            else:  # between the records of one event it was stored, gave way, and was needed again
                self.displaced[key, version, feature] += count - 1

    def _check_rows(self, key: str, item: Stored | None) -> None:
        """Those of a result are all there; there may be more."""
        if item is not None and item["status"] != REMOVED and is_indexed(item):
            missing = self.cloud.missing_rows(item)
            assert not missing, f"{key} is not found by {missing}"

    def _check_age(self, before: Stored | None, after: Stored | None) -> None:
        """A result gives way to that of an older version only when the newer version is no more."""
        old, new = (str(item.get("versionId")) if item else "" for item in (before, after))
        if old in self.ages and new in self.ages and self.ages[new] < self.ages[old]:
            assert all(old not in stack for stack in self.versions.values()), "an older version's result"

    def check_end(self) -> None:
        """When nothing is on its way: each picture has its result, or an event in the failure queue."""
        for key in self.versions:
            if not self._in_failure_queue(key) and key not in self.unknown:
                self.check_final(key)
        for billed, count in self.billed.items():
            needed = 1 + self.lost[billed] + (self.displaced[billed] if billed[0] in self.turned_back else 0)
            assert count <= needed, f"{billed} was paid {count} times"

    def check_final(self, key: str) -> None:
        version, item = self.current(key), self.item(key)
        if version is None:
            assert self.cloud.results.get(key) is None, "the picture is gone and its result is not"
            return
        assert item is not None, "no result"
        assert item.get("versionId") == version, "the result of another version"
        assert is_indexed(item), "it is not found"
        if item["status"] == "failed":
            assert not item["error"]["retryable"], "not the end"
            assert item["error"]["code"] != "gone", "the picture is there"
        if item["status"] == "done":
            assert answers(item) == {(version, feature) for feature in item["features"]}
            # The one whose analysis is reused may have reused it too.
            assert "labels" in item.get("reusedFrom", {}) or item["labels"][0]["Name"] == version
        if self.cloud.kind == "bucket":
            self.cloud.results_s3.head_object(Bucket=RESULTS_BUCKET, Key=str(index_of(item)))

    def _in_failure_queue(self, key: str) -> bool:
        """Whether an event is there that would give the key its result, or take it away."""
        events = [event for delivery in self.failed for event in delivery.events]
        version = self.current(key)
        return any(
            key_of(record) == key
            and (
                record["eventName"].startswith("ObjectRemoved")
                or record["s3"]["object"]["versionId"] == version
            )
            for event in events
            for record in event["Records"]
        )


def queued(delivery: Delivery) -> tuple[FailedEvent, ...]:
    """Its events as they stand in the failure queue."""
    records = [record for event in delivery.events for record in event["Records"]]
    body = {"requestPayload": {"Records": records}, "responsePayload": {"errorMessage": "Task timed out"}}
    return entry_of({"MessageId": "m", "ReceiptHandle": "r", "Body": json.dumps(body)}).events


def key_of(record: Mapping[str, Any]) -> str:
    return unquote_plus(record["s3"].get("object", {"key": ""})["key"])


def _after(trouble: Trouble | Beside, number: int) -> None:
    if isinstance(trouble, Beside) or number != trouble.nth:
        return
    if trouble.how == "lost":
        raise ReadTimeoutError(endpoint_url="https://example.com")
    if trouble.how == "killed after":
        raise Killed


def answers(item: Stored | None) -> set[tuple[str, str]]:
    """(version, feature) of all that an item has an answer for."""
    if not item or item["status"] == REMOVED:
        return set()
    return {(item["versionId"], feature) for feature in FEATURES.values() if feature in item}
