"""What Lambda calls for each S3 event: a loop over its records, in which none can fail another."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ingest import timeouts
from ingest.backoff import Backoff
from ingest.bucket_store import ResultBucket
from ingest.faults import TryAgain
from ingest.index_table import PARALLEL_WRITES, IndexTable
from ingest.indexed_store import IndexedStore
from ingest.permits import shared_permits
from ingest.result_store import ResultStore
from ingest.table_store import ResultTable
from ingest.work import OVER_LIMIT, Needs, arrived, removed
from shared.aws_clients import dynamodb_client, s3_client, session
from shared.events import Arrival, Ignored, Record, Removal, Unreadable, parse_event
from shared.log import about, log, log_failure
from shared.results import FEATURES
from shared.stores import Store
from shared.usage import monthly_limit


class Unfinished(Exception):
    """Some records need another try. Lambda repeats the whole event; the finished ones cost nothing then."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings from the environment."""

    store: Store
    features: tuple[str, ...]
    index: str
    monthly_limit: int | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Config:
        asked = {name.strip() for name in environment["FEATURES"].split(",") if name.strip()}
        unknown = asked.difference(FEATURES)
        if unknown or not asked:
            raise ValueError(
                f"FEATURES must name some of {', '.join(FEATURES)}; it is {environment['FEATURES']!r}"
            )
        return cls(
            store=Store.from_environment(environment),
            features=tuple(name for name in FEATURES if name in asked),
            index=environment["INDEX_TABLE"],
            monthly_limit=monthly_limit(environment),
        )


@cache
def needs() -> Needs:
    """Made at the first event and kept for all that this process handles."""
    config = Config.from_environment(os.environ)
    store = _store(config.store)
    return Needs(
        features=config.features,
        store=IndexedStore(store=store, index=_rows(config.index)),
        s3=s3_client(timeouts.S3),
        rekognition=session().client("rekognition", config=timeouts.REKOGNITION.config()),
        permits=shared_permits(
            dynamodb_client(timeouts.INDEX), config.index, store=store, limit=config.monthly_limit
        ),
    )


def _store(store: Store) -> ResultStore:
    if store.kind == "table":
        return ResultTable(dynamodb=dynamodb_client(timeouts.DYNAMODB), name=store.name)
    return ResultBucket(s3=s3_client(timeouts.RESULTS), bucket=store.name)


def _rows(table: str) -> IndexTable:
    return IndexTable(dynamodb=dynamodb_client(timeouts.ROWS, connections=PARALLEL_WRITES), table=table)


def handler(event: Mapping[str, Any], context: Any) -> dict[str, int]:
    return serve(event, context, needs())


def serve(event: Mapping[str, Any], context: Any, deps: Needs) -> dict[str, int]:
    """Handle all records; returns how many there were. Raises Unfinished when any must be tried again.

    overLimit: how many finished pictures lack something still, since the month has no room for it.
    """
    records = parse_event(event)
    if not records:
        log("INFO", "ignored", reason="an event without records")
    deps = replace(deps, request_id=getattr(context, "aws_request_id", ""))
    patient = Backoff(left_s=_left_s(context, deps), unused_s=timeouts.RESERVED_S, sleep=deps.sleep)
    # A record that waits takes the time of those behind it, at each of Lambda's attempts again.
    hurried = replace(patient, unused_s=math.inf)
    ends = [
        _try(record, place, context, deps, patient if place == len(records) else hurried)
        for place, record in enumerate(records, start=1)
    ]
    failures = [end for end in ends if isinstance(end, Exception)]
    if failures:
        texts = "; ".join(str(failure) for failure in failures)
        raise Unfinished(
            f"{len(failures)} of {len(records)} records need another try: {texts}"
        ) from failures[0]
    return {"records": len(records), "overLimit": ends.count(OVER_LIMIT)}


def _try(record: Record, place: int, context: Any, deps: Needs, backoff: Backoff) -> Exception | str:
    """Handle one record, and say in a word what became of it. place: the first is 1.

    Its failure is returned, so that it cannot stop the next one.

    What is logged here is what `imgpipe explain` reads: that the event came, and how each attempt ended.
    """
    with about(
        requestId=getattr(context, "aws_request_id", None),
        key=getattr(record, "key", None),
        versionId=getattr(record, "version_id", None),
    ):
        started_s = time.monotonic()
        log("INFO", "record_received", kind=type(record).__name__)
        try:
            if place > 1 and backoff.left_s() < timeouts.worst_case_s():
                raise TimeoutError("no time left for this record")
            outcome = _handle(record, deps, backoff)
        except TryAgain as error:
            log("WARN", "record_failed", errorMessage=str(error), durationMs=_since_ms(started_s))
            return error
        except Exception as error:
            log_failure("record_failed", error, durationMs=_since_ms(started_s))
            return error
        log("INFO", "record_handled", outcome=outcome, durationMs=_since_ms(started_s))
    return outcome


def _since_ms(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)


def _handle(record: Record, deps: Needs, backoff: Backoff) -> str:
    match record:
        case Arrival():
            return arrived(record, deps, backoff)
        case Removal():
            return removed(record, deps, backoff)
        case Ignored():
            return f"ignored: {record.reason}"
        case Unreadable():
            # Tried again in vain and then left in the failure queue, where someone can see it.
            raise ValueError(f"a record cannot be read: {record.reason}")


def _left_s(context: Any, deps: Needs) -> Callable[[], float]:
    """What tells the seconds until Lambda stops the function."""
    told = getattr(context, "get_remaining_time_in_millis", None)
    if told:
        return lambda: told() / 1000
    end_s = deps.clock() + timeouts.TIMEOUT_S
    return lambda: end_s - deps.clock()
