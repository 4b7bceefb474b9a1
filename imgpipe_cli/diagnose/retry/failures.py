"""What failed: each picture that has no good result although every attempt is over, and why. Reads only.

Three places tell: results that are failures, the failure queue, and the bucket, which says what the current
object of a key is. What they mean together is `judged`, which is pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.diagnose.retry import reasons
from imgpipe_cli.diagnose.retry.failure_queue import Entry, FailedEvent
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.api import Api, ApiUnavailable, repeated
from imgpipe_cli.pictures.lacking import Expected
from imgpipe_cli.pictures.listing import PAGE, pages
from imgpipe_cli.pictures.stored_picture import look
from imgpipe_cli.pictures.waiting import is_final, is_retrying
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from shared.result_item import ResultItem

State = Literal["done", "failed", "pending", "gone", "nothing", "unknown"]
Look = tuple["Current | None", "ResultItem | None"]
Refusal = ApiUnavailable | Problem
Answer = TypeVar("Answer")

# The functions behind the API share the account's concurrency, in a new account ten, with everything else.
_READERS = 4
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
    if item["status"] == "done":
        return facts(key, "done")
    error = item["error"]
    own = _own(events, current)
    if error.get("retryable") and not own and is_retrying(item, now):
        return facts(key, "pending", "retrying", str(error["message"]), "It is tried again by itself.")
    helps = bool(error.get("retryable")) or error["code"] in _MAY_HAVE_PASSED
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

    While there is a picture, that is when it has its result: its removal was of an older one then.
    """
    if event.kind == "other":
        return True
    if current is not None:
        return item is not None and _is_of(item, current) and is_final(item, None)
    return event.kind == "arrival" or item is None or not _removes(event, item)


def _is_of(item: ResultItem, current: Current) -> bool:
    return functions.identity.is_of(item, version_id=current.version_id, etag=current.etag)


def _removes(event: FailedEvent, item: ResultItem) -> bool:
    """Whether the removal, once carried out, would take this result away."""
    return item["sequencer"] <= event.sequencer


# --- looking -------------------------------------------------------------------------------------


class Stored(NamedTuple):
    """What is kept of each result while all are read. lacks: whether it is finished and lacks something."""

    status: str
    etag: str
    lacks: bool


@dataclass(frozen=True)
class Places:
    """Where is looked: the bucket, and the API. status: "" for results of any."""

    aws: Aws
    bucket: str
    api: Api
    status: str = ""

    def stored(self, expected: Expected | None = None, *, only_failed: bool = False) -> dict[str, Stored]:
        """What is stored by key, newest first. Raises ApiUnavailable, Problem.

        only_failed: the API may leave out all others.
        """
        found: dict[str, Stored] = {}
        places = replace(self, status="failed") if only_failed else self
        for item in chain.from_iterable(pages(places, PAGE)):
            lacks = expected is not None and bool(expected.lacking(item))
            found.setdefault(str(item["objectKey"]), Stored(item["status"], item.get("eTag", ""), lacks))
        return found

    def unseen(self, stored: Mapping[str, Stored]) -> list[str]:
        """The keys of pictures that have no result, or that of other bytes. Raises Problem."""
        try:
            objects = [
                (str(entry["Key"]), str(entry["ETag"]).strip('"'))
                for page in self.aws.pages("s3", "list_objects_v2", Bucket=self.bucket)
                for entry in page.get("Contents", [])
            ]
        except AwsError as error:
            raise problem(error, "list the pictures in the bucket") from error
        return [key for key, etag in objects if key not in stored or stored[key].etag != etag]

    def results(self, *, limit: int, after: str | None) -> tuple[list[ResultItem], str | None]:
        """A page of results, as the API gives it."""
        return self._asked(lambda: self.api.results(limit=limit, after=after, status=self.status))

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """The API's answer, asked for again while it is too busy to give one."""
        return repeated(ask, self.aws.sleep, self.aws.clock)

    def look(self, key: str) -> Look:
        """The current object of a key and its stored result. Raises ApiUnavailable, Problem.

        The result first: should the object change in between, it is one without a result, never one with
        that of another.
        """
        item = self._asked(lambda: self.api.result(key))
        return self.current(key), item

    def current(self, key: str) -> Current | None:
        try:
            found = look(self.aws, self.bucket, key)
        except AwsError as error:
            raise problem(error, "look for the picture in the bucket") from error
        if found is None:
            return None
        return Current(
            found.get("VersionId"),
            str(found["ETag"]).strip('"'),
            found["ContentLength"],
            found["LastModified"],
        )

    def gather(self, keys: Iterable[str]) -> dict[str, Look | Refusal]:
        """The same for several keys, side by side; the reason for one that cannot be looked at.

        Raises Problem for a token that is not accepted.
        """

        def one(key: str) -> Look | Refusal:
            try:
                return self.look(key)
            except (ApiUnavailable, Problem) as error:
                if isinstance(error, Problem) and error.code == "unauthorized":
                    raise
                return error

        wanted = list(keys)
        items = self._by_key(wanted)

        def one_of(key: str) -> Look | Refusal:
            if key not in items:
                return one(key)
            try:
                return self.current(key), items[key]
            except Problem as error:
                return error

        with Pool(_READERS, thread_name_prefix="look") as pool:
            return dict(zip(wanted, pool.map(one_of, wanted), strict=True))

    def _by_key(self, keys: Sequence[str]) -> dict[str, ResultItem | None]:
        """The results of those keys that the API answers for together; one key is asked for alone."""
        items: dict[str, ResultItem | None] = {}
        for first in range(0, len(keys) if len(keys) > 1 else 0, PAGE):
            some = keys[first : first + PAGE]
            try:
                answer = self._asked(lambda some=some: self.api.by_key(some))  # type: ignore[misc]
            except ApiUnavailable:
                break  # such as an older pipeline: each is asked for alone, and says why it cannot be
            items |= dict.fromkeys(answer.absent) | {item["objectKey"]: item for item in answer.items}
        return items


def survey(
    places: Places,
    entries: Sequence[Entry],
    keys: Sequence[str],
    *,
    missing: bool = False,
    expected: Expected | None = None,
) -> list[Picture]:
    """How the keys stand; without any: all that failed or are queued. Raises ApiUnavailable, Problem.

    missing: also all that nobody has noticed, for which the bucket is listed. expected: also all that are
    finished and lack some of it.
    """
    events = events_of(entries)
    wanted = list(keys)
    if not keys:
        stored = places.stored(expected, only_failed=expected is None and not missing)
        failed = [key for key, one in stored.items() if one.status == "failed" or one.lacks]
        wanted = list(dict.fromkeys([*failed, *events, *(places.unseen(stored) if missing else ())]))
    snapshot = places.gather(wanted)
    refusals = [one for one in snapshot.values() if isinstance(one, Exception)]
    if refusals and len(refusals) == len(snapshot):
        raise refusals[0]  # that is about none of them
    now = datetime.now(UTC)
    found = [
        not_told(Picture(key, "unknown"), seen)
        if isinstance(seen, Exception)
        else judged(key, *seen, events.get(key, ()), now)
        for key, seen in snapshot.items()
    ]
    # Of a picture that is gone an old failure may have stayed: it is told of to those who ask for it.
    known = [one for one in found if one.current or one.item or one.events or one.state == "unknown"]
    return [one for one in known if keys or one.item is None or one.current or one.events]


def not_told(picture: Picture, refusal: Refusal) -> Picture:
    """The picture when it was asked about in vain."""
    if isinstance(refusal, Problem):
        return replace(picture, state="unknown", code=refusal.code, why=refusal.message, hint=refusal.hint)
    why = "The API did not give its result."
    return replace(picture, state="unknown", code="not_told", why=why, hint="Run imgpipe retry again.")


def asked_for(picture: Picture, features: Sequence[str]) -> list[str]:
    """The features that are asked, and paid, when the picture is analyzed again: at most these."""
    if picture.current is None or picture.code in _REFUSED_UNASKED:
        return []
    item = picture.item
    if item is None or not _is_of(item, picture.current):
        return list(features)
    unanswered = Expected(tuple(features)).unanswered(item)
    return [one for one in features if one in unanswered or one in picture.outdated]


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
