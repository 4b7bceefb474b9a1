"""Sending the pictures of a plan: a bounded window of them under way, each ending in one event.

One thread, the caller's, does all but the transfer: it reads, checks and hashes a picture, looks whether the
bucket holds it already, hands it over, and tells what came of those that have ended. So memory depends on
the window, not on the number of pictures, and events come from one thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import is_about_all
from imgpipe_cli.aws.object_puts import ObjectPuts, exists
from imgpipe_cli.aws.put import Cancel, Put, Stored
from imgpipe_cli.events import Emit, Note, PassedOver, Refused, Sent, Stopped, Unchanged
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.sending.journal import Entry, Journal
from imgpipe_cli.pictures.sending.plan import Planned, unreadable
from imgpipe_cli.pictures.sending.refusals import DENIED_TO_ALL, REFUSED_ALONE, NoneTaken, not_sent
from imgpipe_cli.pictures.sending.unchanged import Listing, There, asked, is_same
from imgpipe_cli.pictures.sources import Source
from imgpipe_cli.system.threads import TICK_S, Pool

if TYPE_CHECKING:
    from imgpipe_cli.aws.names import Names

# Pictures under way; more are not faster, and so many bytes of them are kept in memory at most.
_WINDOW = 128
_WINDOW_BYTES = 64 * 1024 * 1024
# Of so many it is asked one by one whether they are there; of more a list is read.
FEW = 100
_ASKING_THREADS = 16
# How long those under way may still end when it is stopped.
_GRACE_S = 1.0
_CANCELLED_S = 0.3


@dataclass
class Outcome:
    """How many pictures were sent, and how many the bucket held already."""

    sent: int = 0
    unchanged: int = 0


@dataclass
class _Picture:
    """A picture under way. again: S3 has said that its key exists."""

    source: Source
    data: bytes
    sha256: bytes
    again: bool = False


_End = Stored | AwsError | There | None
"""What came of one: stored, refused, or what was found under its key."""


def send(aws: Aws, names: Names, planned: Iterable[Planned], emit: Emit, *, force: bool = False) -> Outcome:
    """Send what is not there yet; each picture ends in one Sent, Unchanged, PassedOver or Refused event.

    force: send also what the bucket holds already, as a new version that is analyzed and paid for.
    Raises Problem for what concerns all of them: no bucket, no access (NoneTaken), no network. Whatever ends
    it early, Ctrl-C too, is told as a Stopped event.
    """
    sending = _Sending(aws, names, emit, force=force)
    try:
        sending.all_of(planned)
    except BaseException:
        sending.stop()
        raise
    finally:
        sending.close()
    return sending.outcome


class _Sending:
    def __init__(self, aws: Aws, names: Names, emit: Emit, *, force: bool) -> None:
        self.outcome = Outcome()
        self._aws = aws
        self._names = names
        self._emit = emit
        self._force = force
        self._journal = Journal(names.bucket)
        self._puts = ObjectPuts(aws, lambda why: emit(Note("sent_slowly", why)))
        self._asking = Pool(_ASKING_THREADS, thread_name_prefix="ask")
        self._listing: Listing | None = None
        self._under_way: dict[int, tuple[_Picture, Cancel]] = {}
        self._bytes = 0
        self._ended: queue.SimpleQueue[tuple[int, _End]] = queue.SimpleQueue()
        self._begun = 0
        self._is_quick = False
        self._denied: list[tuple[Source, AwsError]] = []

    def all_of(self, planned: Iterable[Planned]) -> None:
        items, self._listing = self._many(iter(planned))
        for item in items:
            if isinstance(item, Source):
                self._begin(item)
            else:
                self._emit(item)
            self._take_ended()
        while self._under_way:
            self._take_ended(wait=True)
        if self._denied:
            raise self._none_taken()

    def _many(self, planned: Iterator[Planned]) -> tuple[Iterable[Planned], Listing | None]:
        """All of them again; with a list of what is there, if they are more than a few."""
        ahead: deque[Planned] = deque()
        sources = 0
        for item in planned:
            ahead.append(item)
            sources += isinstance(item, Source)
            if sources > FEW:
                return itertools.chain(_drained(ahead), planned), Listing(self._aws, self._names.bucket)
        return ahead, None

    # --- one picture -----------------------------------------------------------------------------

    def _begin(self, source: Source) -> None:
        picture = self._checked(source)
        if picture is None:
            return
        if self._begun and not self._is_quick:
            self._is_quick = True
            self._puts.quicken()
        self._make_room(len(picture.data))
        there = None if self._listing is None else self._there(self._listing, source)
        if there is None:
            self._put(picture)
        else:
            self._found_there(picture, there)

    def _checked(self, source: Source) -> _Picture | None:
        """None for one that is told of and not sent."""
        try:
            if source.is_beside_pictures():
                self._emit(PassedOver(source.name))
                return None
            data = source.read()
        except OSError as error:
            self._emit(unreadable(source.name, error))
            return None
        if refusal := _refusal(source, data):
            self._emit(Refused(source.name, refusal.code, refusal.message, refusal.hint))
            return None
        return _Picture(source, data, hashlib.sha256(data).digest())

    def _there(self, listing: Listing, source: Source) -> There | None:
        try:
            return listing.at(source.key)
        except AwsError as error:
            raise not_sent(error, source, self._names) from error

    def _put(self, picture: _Picture) -> None:
        content_type = functions.picture.content_type(picture.data)
        assert content_type is not None  # else it had been refused
        put = Put(
            bucket=self._names.bucket,
            key=picture.source.key,
            data=picture.data,
            content_type=content_type,
            sha256=picture.sha256,
            owner=self._names.account,
            only_new=not picture.again,
            metadata=functions.forced.metadata_of(picture.source.key) if self._force else {},
        )
        self._goes(picture, lambda on_end: self._puts.put(put, on_end))

    def _goes(self, picture: _Picture, begin: Callable[[Callable[[_End], None]], Cancel]) -> None:
        number, self._begun = self._begun, self._begun + 1
        self._bytes += len(picture.data)
        self._under_way[number] = picture, _nothing
        try:
            cancel = begin(lambda end: self._ended.put((number, end)))
        except AwsError as error:
            self._ended.put((number, error))
        else:
            self._under_way[number] = picture, cancel

    def _make_room(self, size_bytes: int) -> None:
        """Wait until one more may be under way. The first one ends before the second begins: it may show that
        none can be sent."""
        while self._under_way and (
            0 in self._under_way
            or len(self._under_way) >= _WINDOW
            or self._bytes + size_bytes > _WINDOW_BYTES
        ):
            self._take_ended(wait=True)

    # --- what came of it -------------------------------------------------------------------------

    def _take_ended(self, *, wait: bool = False) -> None:
        """Tell of all that have ended; wait: of one at least."""
        with contextlib.suppress(queue.Empty):
            if wait:
                self._take(*self._ended.get(timeout=TICK_S))
            while True:
                self._take(*self._ended.get_nowait())

    def _take(self, number: int, end: _End) -> None:
        picture, _ = self._under_way.pop(number)
        self._bytes -= len(picture.data)
        if isinstance(end, Stored):
            self._is_sent(picture, end)
        elif isinstance(end, There):
            self._found_there(picture, end)
        elif end is None or (exists(end) and self._force and not picture.again):
            self._put(replace(picture, again=True))
        elif exists(end) and not picture.again:
            self._ask(picture)
        else:
            self._failed(picture, end)

    def _ask(self, picture: _Picture) -> None:
        """What is there under its key, beside all else."""

        def begin(on_end: Callable[[_End], None]) -> Cancel:
            def ask() -> None:
                try:
                    on_end(asked(self._aws, self._names.bucket, picture.source.key))
                except AwsError:  # so it is sent
                    on_end(None)

            return self._asking.submit(ask).cancel

        self._goes(picture, begin)

    def _found_there(self, picture: _Picture, there: There) -> None:
        source = picture.source
        same = not self._force and is_same(there, source.key, picture.data, picture.sha256, self._journal)
        if same is None and not there.asked:
            self._ask(picture)
        elif same:
            self._note_place(picture, there)
            self.outcome.unchanged += 1
            self._emit(Unchanged(source.key, source.name, there.version_id, len(picture.data)))
        else:
            self._put(replace(picture, again=True))

    def _note_place(self, picture: _Picture, there: There) -> None:
        """Of one that is there already: sent from elsewhere, or from a file that has moved since."""
        source = picture.source
        if source.path is not None and not self._journal.has_place(source.key, source.place):
            self._journal.write(_entry(picture, there.etag, there.version_id))

    def _is_sent(self, picture: _Picture, stored: Stored) -> None:
        source, size_bytes = picture.source, len(picture.data)
        self._journal.write(_entry(picture, stored.etag, stored.version_id))
        self.outcome.sent += 1
        self._emit(Sent(source.key, source.name, stored.version_id, picture.again, size_bytes))
        self._refuse_denied()

    def _failed(self, picture: _Picture, error: AwsError) -> None:
        source = picture.source
        if (refused := REFUSED_ALONE.get(error.code)) is not None:
            self._emit(refused(source, error))
            return
        if not 400 <= error.status < 500 or is_about_all(error):
            raise not_sent(error, source, self._names) from error
        self._denied.append((source, error))
        if self._some_taken:
            self._refuse_denied()
        elif len(self._denied) >= DENIED_TO_ALL:
            raise self._none_taken()

    @property
    def _some_taken(self) -> bool:
        return bool(self.outcome.sent or self.outcome.unchanged)

    def _refuse_denied(self) -> None:
        """They were denied, others are taken: so it is about them alone."""
        for source, error in self._denied:
            found = not_sent(error, source, self._names)
            self._emit(Refused(source.name, found.code, found.message, found.hint))
        self._denied.clear()

    def _none_taken(self) -> NoneTaken:
        source, error = self._denied[0]
        found = not_sent(error, source, self._names)
        return NoneTaken(found.code, found.message, hint=found.hint, exit_code=found.exit_code)

    # --- the end ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing more, let those under way end for a moment, and tell where it stands."""
        self._settle(_GRACE_S)
        for _, cancel in self._under_way.values():
            cancel()
        self._puts.close()
        self._settle(_CANCELLED_S)
        if self.outcome != Outcome() or self._under_way:
            self._emit(Stopped(self.outcome.sent, self.outcome.unchanged, len(self._under_way)))

    def _settle(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._under_way and (left_s := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                number, end = self._ended.get(timeout=left_s)
                picture, _ = self._under_way.pop(number)
                if isinstance(end, Stored):
                    self._is_sent(picture, end)

    def close(self) -> None:
        self._puts.close()
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._journal.close()


def _entry(picture: _Picture, etag: str, version_id: str | None) -> Entry:
    source, sha256 = picture.source, picture.sha256.hex()
    return Entry(source.key, len(picture.data), sha256, sha256, etag, version_id, source.place)


def _nothing() -> None:
    """The cancelling of what has not begun."""


def _drained(ahead: deque[Planned]) -> Iterator[Planned]:
    while ahead:
        yield ahead.popleft()


def _refusal(source: Source, data: bytes) -> functions.picture.Refusal | None:
    if len(data) <= functions.picture.MAX_BYTES:
        return functions.picture.refusal(data)
    # Of standard input only so much was read.
    size = source.size_bytes()
    return functions.picture.refusal(data, size_bytes=max(size, len(data)), cut=size < len(data))
