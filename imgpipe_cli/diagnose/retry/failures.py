"""What failed: each picture that has no good result although every attempt is over, and why. Reads only.

Three places tell: results that are failures, the failure queue, and the bucket, which says what the current
object of a key is. What they mean together is `judging.judged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.diagnose.retry.failure_queue import Entry
from imgpipe_cli.diagnose.retry.judging import Current, Picture, events_of, judged
from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.api import Api, ApiUnavailable, repeated
from imgpipe_cli.pictures.lacking import Expected
from imgpipe_cli.pictures.listing import PAGE, pages
from imgpipe_cli.pictures.stored_picture import look
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from shared.result_item import ResultItem

Look = tuple["Current | None", "ResultItem | None"]
Refusal = ApiUnavailable | Problem
Answer = TypeVar("Answer")

# The functions behind the API share the account's concurrency, in a new account ten, with everything else.
_READERS = 4


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
