"""One event from its parsed form to its stored result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest import timeouts
from ingest.analysis import Findings, Outcome, Rekognition, Unavailable, analyze
from ingest.backoff import Backoff
from ingest.content import sha256_of
from ingest.counting import Asker
from ingest.faults import Fault, Overtaken, TryAgain, fault_of, gone, is_not_shown, passing, refused
from ingest.history import Answered, Skip, Work, plan, tombstone, tries_left
from ingest.permits import Permits
from ingest.reading import Head, is_gone, read_current, read_head
from ingest.result import Examination, Facts, item, worst
from ingest.result_store import PatientStore, ResultStore
from shared import orientation
from shared.events import Arrival, Removal
from shared.forced import is_forced
from shared.identity import is_of
from shared.index_rows import is_settled
from shared.log import log, log_failure
from shared.original import original
from shared.picture import JPEG, Size, content_type, refusal
from shared.results import REMOVED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.result_item import Stored, StoredItem

TOMBSTONE_DAYS = 7
"""Longer than any event can be late: Lambda keeps trying for six hours at most."""

_LOOKS = 3
"""How often we look again when the stored item changes under our hands; then it is left to Lambda's retry."""

OVER_LIMIT = "done, and over the monthly limit with what it lacks"
"""What became of a finished picture that was not asked for all that is missing."""

_OVERTAKEN = "no longer the current picture, what is stored stays"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the work is done with. request_id: of the call of the function, as in counting.py."""

    features: tuple[str, ...]
    store: ResultStore
    s3: S3Client
    rekognition: Rekognition
    permits: Permits
    request_id: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def arrived(arrival: Arrival, needs: Needs, backoff: Backoff, *, is_current: bool = False) -> str:
    """Give an object its result and say in a word what became of it.

    is_current: that it is the key's current object has just been seen.
    Raises TryAgain when the failure may pass; it is then stored already. What the store itself raises is not
    stored.
    """
    started_s = time.monotonic()
    bought: Answered = {}
    store: ResultStore = needs.store
    for _ in range(_LOOKS):
        seen = store.read(arrival.key)
        work = plan(arrival, seen, needs.features, bought)
        if isinstance(work, Skip):
            renewed = work.renewed or _unsettled(seen)
            if renewed is None or store.replace(renewed, seen=seen):
                return work.reason
            continue
        if work.other_version and not (is_current or arrival.by_hand) and _overtaken(arrival, needs):
            return _OVERTAKEN
        try:
            examination = _examine(arrival, work, seen, needs, backoff)
        except Overtaken:
            continue
        fault = examination.fault
        if fault and fault.code == "gone" and arrival.by_hand:
            return _OVERTAKEN
        result = _result(arrival, examination, seen, needs, started_s)
        store = PatientStore(store=needs.store, backoff=backoff)
        try:
            is_stored = store.replace(result, seen=seen)
        except TryAgain:  # it is stored, and its rows in the index are not right yet
            needs.permits.end(examination.permit, examination.asked)
            raise
        needs.permits.end(examination.permit, examination.asked)
        if is_stored:
            if fault and fault.retryable:
                raise TryAgain(fault)
            return OVER_LIMIT if examination.left else result["status"]
        bought = examination.bought
    raise TryAgain(_busy())


def _result(
    arrival: Arrival, examination: Examination, seen: Stored | None, needs: Needs, started_s: float
) -> StoredItem:
    """What is to be stored: the result of before, where the month had no room for what it lacks."""
    work = examination.work
    if work.finished and examination.left and not examination.asked:
        return {**work.finished, "sequencer": work.sequencer}
    return item(
        arrival,
        examination,
        asked=[one for one in needs.features if one not in examination.left],
        now=needs.now(),
        duration_ms=round((time.monotonic() - started_s) * 1000),
        tries_left=tries_left(arrival, seen),
    )


def _unsettled(seen: Stored | None) -> Stored | None:
    """What is stored, where it is a result whose rows may not be right yet: storing it puts them right."""
    return seen if seen and seen["status"] != REMOVED and not is_settled(seen) else None


def _overtaken(arrival: Arrival, needs: Needs) -> bool:
    """Whether the event's object is no longer the current one; what is has an event of its own.

    Sequencers do not tell where a removal found a version before that version's own event came. That S3 shows
    nothing, or something older, is no proof.
    """
    if not arrival.version_id:
        return False
    current = read_current(needs.s3, arrival)
    if current is not None and current.version_id in (None, arrival.version_id):
        return False
    return is_gone(needs.s3, arrival, needs.now())


def _examine(
    arrival: Arrival, work: Work, stored: Stored | None, needs: Needs, backoff: Backoff
) -> Examination:
    """Look at the picture and ask for what is missing. Raises Overtaken, and nothing else."""
    facts = Facts(version_id=arrival.version_id, etag=arrival.etag, size_bytes=arrival.size_bytes)
    try:
        head = backoff.call(
            lambda: read_head(needs.s3, arrival, needs.now()),
            keep_s=timeouts.READING_S + timeouts.ASKING_S + timeouts.STORING_S,
            passes=is_not_shown,
        )
        facts = _facts(head)
        found = refusal(head.data, size_bytes=head.size_bytes)
        if not found:
            facts = replace(facts, sha256=_sha256(arrival, head, needs, backoff))
    except Exception as error:  # every event ends in a result, also one that nobody foresaw
        log_failure("picture_not_read", error)
        return Examination(facts=facts, work=work, fault=fault_of(error, _reading(error)))
    if arrival.by_hand and head.version_id != arrival.version_id:
        return Examination(facts=facts, work=work, fault=gone())
    if found:
        return Examination(facts=facts, work=work, fault=refused(found))
    return _asked(Examination(facts=facts, work=work), arrival, head, stored, needs, backoff)


def _sha256(arrival: Arrival, head: Head, needs: Needs, backoff: Backoff) -> str:
    follows_s = timeouts.PERMIT_S + timeouts.ASKING_S + timeouts.STORING_S
    return backoff.call(
        lambda: sha256_of(needs.s3, arrival, head),
        keep_s=timeouts.HASHING_S + follows_s - timeouts.RESERVED_S,
    )


def _asked(
    seen: Examination, arrival: Arrival, head: Head, stored: Stored | None, needs: Needs, backoff: Backoff
) -> Examination:
    """With the answers that are missing: from pictures of the same bytes, else from Rekognition."""
    assert seen.facts.sha256 is not None
    asker = Asker(
        key=arrival.key,
        version_id=head.version_id,
        sha256=seen.facts.sha256,
        apart=is_forced(arrival.key, head.metadata),
        answered_at=seen.work.answered_at,
        seen=stored,
        request_id=needs.request_id,
    )
    try:
        permit = needs.permits.permit(asker, seen.work.missing, replaced=arrival.again, backoff=backoff)
    except Overtaken:
        raise
    except Exception as error:  # nothing was asked, and nothing is paid twice for it
        log_failure("analysis_not_permitted", error)
        return replace(seen, fault=fault_of(error, "dynamodb:TransactWriteItems"))
    asked = analyze(
        needs.rekognition,
        bucket=arrival.bucket,
        key=arrival.key,
        version_id=head.version_id,
        features=permit.features,
        backoff=backoff,
    )
    if asked:
        log("INFO", "rekognition_answered", **_answers(asked))
    needs.permits.answered(asked)
    outcomes = {**permit.known, **asked}
    left: tuple[str, ...] = ()
    if seen.work.finished:  # a picture that has its result does not fail because the month is full
        left = tuple(one for one, known in permit.known.items() if isinstance(known, Fault))
        outcomes = {one: outcome for one, outcome in outcomes.items() if one not in left}
    faults = [outcome for outcome in outcomes.values() if isinstance(outcome, Fault)]
    return replace(seen, asked=outcomes, fault=worst(faults), permit=permit, left=left)


def _reading(error: Exception) -> str:
    """The permission that reading a picture had to have when it failed like this."""
    listing = getattr(error, "operation_name", "") == "ListObjectVersions"
    return "s3:ListBucketVersions" if listing else "s3:GetObject"


def _answers(asked: Mapping[str, Outcome]) -> dict[str, object]:
    """What came back from Rekognition in numbers, as the log tells it."""
    found = {feature: outcome for feature, outcome in asked.items() if isinstance(outcome, Findings)}
    return {
        "found": {
            feature: len(outcome.entries)
            for feature, outcome in found.items()
            if isinstance(outcome.entries, list)
        },
        "models": {feature: outcome.model for feature, outcome in found.items() if outcome.model},
        "unavailable": [f for f, outcome in asked.items() if isinstance(outcome, Unavailable)],
        "failed": {f: outcome.code for f, outcome in asked.items() if isinstance(outcome, Fault)},
    }


def _facts(head: Head) -> Facts:
    size = head.measured if isinstance(head.measured, Size) else None
    kind = content_type(head.data)
    turned = orientation.of_jpeg(head.data) if kind == JPEG else orientation.UPRIGHT
    return Facts(
        version_id=head.version_id,
        etag=head.etag,
        size_bytes=head.size_bytes,
        content_type=kind,
        width=size.width if size else None,
        height=size.height if size else None,
        original=original(head.metadata),
        orientation=None if turned == orientation.UPRIGHT else turned,
    )


def removed(removal: Removal, needs: Needs, backoff: Backoff) -> str:
    """Replace the result of a removed picture by a tombstone, and say in a word what became of it.

    When one version, or one delete marker, was deleted for good, the version below it may have become the
    current one. S3 sends no event for that, so it is looked for and treated as if it had come just now.
    A result asked for by hand may be that of a newer picture although its place in the order of events is not
    known: one that is of the current object stays.
    """
    current = read_current(needs.s3, removal) if removal.version_id else None
    if current:
        return arrived(current, needs, backoff, is_current=True)
    for _ in range(_LOOKS):
        seen = needs.store.read(removal.key)
        mark = tombstone(removal, seen)
        if mark is None:
            return "nothing to remove"
        if seen and seen["status"] != REMOVED and _of_current(seen, removal, needs):
            return "the picture is there, what is stored stays"
        expires_at = int(needs.now().timestamp()) + TOMBSTONE_DAYS * 24 * 3600
        if needs.store.replace({**mark, "expiresAt": expires_at}, seen=seen):
            return "removed"
    raise TryAgain(_busy())


def _of_current(stored: StoredItem, removal: Removal, needs: Needs) -> bool:
    current = read_current(needs.s3, removal)
    return current is not None and is_of(stored, version_id=current.version_id, etag=current.etag)


def _busy() -> Fault:
    return passing("busy", "The stored result changed again and again while it was being replaced.")
