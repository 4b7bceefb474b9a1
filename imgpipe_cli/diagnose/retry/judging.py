"""How a picture stands, from its object, its result and its events in the failure queue. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal

from imgpipe_cli.diagnose.retry import reasons
from imgpipe_cli.diagnose.retry.failure_queue import Entry, FailedEvent
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.lacking import Expected
from imgpipe_cli.pictures.waiting import is_retrying

if TYPE_CHECKING:
    from shared.result_item import ResultItem

State = Literal["done", "failed", "pending", "gone", "nothing", "unknown"]

# Decided by the picture's first bytes, before anything is asked and paid, and the bytes are the same.
_REFUSED_UNASKED = ("unsupported_format", "too_large", "too_small", "too_many_pixels", "customer_key")
# Final, and yet another try may end well: the reason lay not in the picture.
_MAY_HAVE_PASSED = ("archived", "unexpected_answer", "gone", "over_limit")


@dataclass(frozen=True)
class Current:
    """The object that the key stands for now. version_id: None on a bucket that never had versions."""

    version_id: str | None
    etag: str
    size_bytes: int
    at: datetime


@dataclass(frozen=True)
class Picture:
    """A key and how it stands.

    state: done, gone and nothing (a folder) need nothing; pending gets its result by itself; failed does
    not; unknown: it could not be looked at.
    code, why, hint: the reason, for scripts, and for people. helps: whether asking again may end well.
    removals: events of removals that failed, while the result still stands. events: its own in the queue.
    outdated: the features that another local model answers now, with the model of the stored answer.
    """

    key: str
    state: State
    code: str = ""
    why: str = ""
    hint: str = ""
    helps: bool = False
    current: Current | None = None
    item: ResultItem | None = None
    events: tuple[FailedEvent, ...] = ()
    removals: tuple[FailedEvent, ...] = ()
    outdated: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over_limit(self) -> bool:
        """Whether it is finished, and was not asked for all that it lacks since the month has no room."""
        return self.state == "done" and self.code == "over_limit"


def judged(
    key: str, current: Current | None, item: ResultItem | None, events: Sequence[FailedEvent], now: datetime
) -> Picture:
    """How a picture stands. item: the stored result; events: those of the key in the failure queue."""
    removals = tuple(
        one for one in events if one.kind == "removal" and current is None and not settled(one, None, item)
    )
    facts = partial(Picture, current=current, item=item, events=tuple(events), removals=removals)
    if removals:
        why = "The picture was removed, and its result could not be."
        return facts(key, "failed", "not_removed", why, "", helps=True)
    if current is None or functions.events.is_folder(key, current.size_bytes):
        return _without_picture(facts, key, current)
    if item is None or not _is_of(item, current):
        return _without_result(facts, key, current, _own(events, current), now)
    not_indexed = bool(item.get("notIndexed"))
    if item["status"] == "done":
        why = "The result is stored, and find does not show it yet."
        return facts(key, "failed", "not_indexed", why, helps=True) if not_indexed else facts(key, "done")
    error = item["error"]
    own = _own(events, current)
    if error.get("retryable") and not own and is_retrying(item, now):
        return facts(key, "pending", "retrying", str(error["message"]), "It is tried again by itself.")
    helps = bool(error.get("retryable")) or error["code"] in _MAY_HAVE_PASSED or not_indexed
    # "It is tried again by itself" was true as long as there were tries.
    hint = "" if error.get("retryable") else str(error["hint"])
    return facts(key, "failed", str(error["code"]), str(error["message"]), hint, helps=helps)


def _without_picture(facts: Callable[..., Picture], key: str, folder: Current | None) -> Picture:
    if folder:
        return facts(key, "nothing", "folder", "It only makes a folder show; there is nothing to analyze.")
    why = "The picture is no longer in the bucket."
    return facts(key, "gone", "removed", why, "Upload it again if it should be analyzed.")


def _without_result(
    facts: Callable[..., Picture], key: str, current: Current, own: Sequence[FailedEvent], now: datetime
) -> Picture:
    if own:
        code, why = reasons.of_event(own[-1])
        return facts(key, "failed", code, why, "", helps=True)
    if now - current.at < reasons.LATEST:
        why = "The picture is new, its event is still on the way."
        return facts(key, "pending", reasons.NO_EVENT_YET, why, "It gets its result by itself.")
    why = "No event of the picture led to a result."
    return facts(key, "failed", reasons.NEVER_RECEIVED, why, "", helps=True)


def _own(events: Iterable[FailedEvent], current: Current) -> list[FailedEvent]:
    """The arrivals of the current object, as far as events tell."""
    return [
        one
        for one in events
        if one.kind == "arrival"
        and (None in (one.version_id, current.version_id) or one.version_id == current.version_id)
    ]


def settled(event: FailedEvent, current: Current | None, item: ResultItem | None) -> bool:
    """True once nothing is to be done for an event any more, so that it may leave the queue.

    While there is a picture, that is when it has its result and is found by it: its removal was of an older
    one then.
    """
    if event.kind == "other":
        return True
    if current is not None:
        if item is None or not _is_of(item, current) or item.get("notIndexed"):
            return False
        return not item.get("error", {}).get("retryable")
    return event.kind == "arrival" or item is None or not _removes(event, item)


def _is_of(item: ResultItem, current: Current) -> bool:
    return functions.identity.is_of(item, version_id=current.version_id, etag=current.etag)


def _removes(event: FailedEvent, item: ResultItem) -> bool:
    """Whether the removal, once carried out, would take this result away."""
    return item["sequencer"] <= event.sequencer


def asked_for(picture: Picture, features: Sequence[str]) -> list[str]:
    """The features that are asked, and paid, when the picture is analyzed again: at most these."""
    if picture.current is None or picture.code in _REFUSED_UNASKED:
        return []
    item = picture.item
    if item is None or not _is_of(item, picture.current):
        return list(features)
    unanswered = Expected(tuple(features)).unanswered(item)
    return [one for one in features if one in unanswered or one in picture.outdated]


def needs_room(picture: Picture, features: Sequence[str]) -> bool:
    """Whether it needs an analysis for which the month's limit must have room: it failed at that, or it is
    finished and lacks something. Of another failure the analysis may be counted already.
    """
    return (picture.code == "over_limit" or picture.state == "done") and bool(asked_for(picture, features))


def asked_once(pictures: Iterable[Picture], features: Sequence[str]) -> tuple[Counter[str], int]:
    """How often each feature is asked for at most, when these are analyzed again; and how many of them are
    copies of others among them, by size and ETag.

    An ETag may be wrong about that; the ingest function goes by the bytes.
    """
    asked: Counter[str] = Counter()
    seen: dict[tuple[str, int], set[str]] = {}
    copies = 0
    for one in pictures:
        needed = asked_for(one, features)
        if not needed or one.current is None:
            continue
        before = seen.setdefault((one.current.etag, one.current.size_bytes), set())
        asked.update(feature for feature in needed if feature not in before)
        copies += before.issuperset(needed)
        before.update(needed)
    return asked, copies


def with_outdated(picture: Picture, expected: Expected) -> Picture:
    """The picture with those of its answers that another local model would give now."""
    item, current = picture.item, picture.current
    if item is None or current is None or not _is_of(item, current):
        return picture
    return replace(picture, outdated=expected.outdated(item))


def over_limit(picture: Picture, before: Picture) -> Picture:
    """The finished picture with the reason why it lacks something still. before: as it was chosen."""
    models = picture.item["models"] if picture.item else {}
    return replace(
        picture,
        code="over_limit",
        why="It keeps its result. The monthly limit leaves no analysis for what it lacks.",
        hint="Raise it with imgpipe up --monthly-limit N, or run imgpipe retry --again next month.",
        outdated={one: model for one, model in before.outdated.items() if models.get(one, "") == model},
    )


def event_due_s(picture: Picture, now: datetime) -> float:
    """For how many more seconds the event of a new picture may well still be on the way."""
    return max((picture.current.at + reasons.USUAL - now).total_seconds(), 0.0) if picture.current else 0.0


def with_result(picture: Picture, item: ResultItem) -> Picture:
    """The picture with a result that is final."""
    error = item.get("error")
    code, why, hint = (error["code"], error["message"], error["hint"]) if error else ("", "", "")
    return replace(picture, state=item["status"], item=item, code=code, why=why, hint=hint)


def events_of(entries: Iterable[Entry]) -> dict[str, tuple[FailedEvent, ...]]:
    """The events in the queue by key, in the order in which they came in."""
    found: dict[str, list[FailedEvent]] = {}
    for event in chain.from_iterable(entry.events for entry in entries):
        found.setdefault(event.key, []).append(event)
    early = datetime.min.replace(tzinfo=UTC)
    return {key: tuple(sorted(some, key=lambda one: one.since or early)) for key, some in found.items()}
