"""Sending the pictures of a plan: a bounded window of them under way, each ending in one event.

One thread, the caller's, does all but the transfer and the converting: it reads, checks and hashes a picture,
looks whether the bucket holds it already, hands it over, and tells what came of those that have ended. So
memory depends on the window, not on the number of pictures, and events come from one thread.

A file that is converted is hashed first, beside all else: if the bucket holds what was made of it, nothing
more is done.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.object_puts import ObjectPuts, exists
from imgpipe_cli.aws.put import Cancel, Put, Stored
from imgpipe_cli.events import Emit, Note, Sent, Stopped, Unchanged
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.converting.kinds import MAX_FILE_BYTES
from imgpipe_cli.pictures.converting.workers import Converted, Converter, NotConverted
from imgpipe_cli.pictures.sending.journal import Entry, Journal
from imgpipe_cli.pictures.sending.picture import Picture, Rules, converted, is_there, prepared
from imgpipe_cli.pictures.sending.plan import Planned, unreadable
from imgpipe_cli.pictures.sending.refusals import Refusals, not_sent
from imgpipe_cli.pictures.sending.unchanged import Listing, There, asked
from imgpipe_cli.pictures.sending.window import End, OnEnd, Window
from imgpipe_cli.pictures.sources import Source
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from imgpipe_cli.aws.names import Names

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


def send(
    aws: Aws,
    names: Names,
    planned: Iterable[Planned],
    emit: Emit,
    *,
    force: bool = False,
    rules: Rules | None = None,
    converter: Converter | None = None,
) -> Outcome:
    """Send what is not there yet; each picture ends in one Sent, Unchanged, PassedOver or Refused event.

    force: send also what the bucket holds already, as a new version that is analyzed and paid for.
    converter: where there is one already.
    Raises Problem for what concerns all of them: no bucket, no access (NoneTaken), no network. Whatever ends
    it early, Ctrl-C too, is told as a Stopped event.
    """
    with contextlib.ExitStack() as ends:
        if converter is None:
            converter = Converter()
            ends.callback(converter.close)
        sending = _Sending(aws, names, emit, converter, rules or Rules(), force=force)
        ends.callback(sending.close)
        try:
            sending.all_of(planned)
        except BaseException:
            sending.stop()
            raise
    return sending.outcome


class _Sending:
    def __init__(
        self, aws: Aws, names: Names, emit: Emit, converter: Converter, rules: Rules, *, force: bool
    ) -> None:
        self.outcome = Outcome()
        self._aws = aws
        self._names = names
        self._emit = emit
        self._converter = converter
        self._rules = rules
        self._force = force
        self._journal = Journal(names.bucket)
        self._puts = ObjectPuts(aws, lambda why: emit(Note("sent_slowly", why)))
        self._refusals = Refusals(names, emit)
        self._asking = Pool(_ASKING_THREADS, thread_name_prefix="ask")
        self._listing: Listing | None = None
        self._window = Window(self._take)
        self._is_quick = False

    def all_of(self, planned: Iterable[Planned]) -> None:
        items, self._listing = self._many(iter(planned))
        for item in items:
            if isinstance(item, Source):
                self._begin(item)
            else:
                self._emit(item)
            self._window.take_ended()
        self._window.drain()
        self._refusals.end()

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
        picture = prepared(source, self._rules)
        if not isinstance(picture, Picture):
            self._emit(picture)
            return
        if self._window.begun and not self._is_quick:
            self._is_quick = True
            self._puts.quicken()
        self._window.make_room(picture.weight)
        there = None if self._listing is None else self._there(self._listing, picture.source)
        if not picture.is_ready:
            self._hash(replace(picture, there=there))
        elif there is None:
            self._put(picture)
        else:
            self._found_there(picture, there)

    def _there(self, listing: Listing, source: Source) -> There | None:
        try:
            return listing.at(source.key)
        except AwsError as error:
            raise not_sent(error, source, self._names) from error

    def _go_on(self, picture: Picture) -> None:
        if picture.is_ready:
            self._put(picture)
        else:
            self._convert(picture)

    def _put(self, picture: Picture) -> None:
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
            metadata={**picture.metadata, **self._mark(picture.source.key)},
            path=picture.path,
        )
        self._window.add(picture, lambda on_end: self._puts.put(put, on_end))

    def _mark(self, key: str) -> Mapping[str, str]:
        return functions.forced.metadata_of(key) if self._force else {}

    def _hash(self, picture: Picture) -> None:
        self._beside(picture, lambda: picture.source.sha256(MAX_FILE_BYTES))

    def _beside(self, picture: Picture, work: Callable[[], End]) -> None:
        """Have it done in another thread."""

        def begin(on_end: OnEnd) -> Cancel:
            def do() -> None:
                try:
                    on_end(work())
                except Exception as error:  # `_take` says what it means
                    on_end(error)

            return self._asking.submit(do).cancel

        self._window.add(picture, begin)

    def _convert(self, picture: Picture) -> None:
        source, kind = picture.source, picture.kind
        assert kind is not None
        file = source.data if source.path is None else source.path
        assert file is not None
        self._window.add(picture, lambda on_end: self._converter.convert(file, kind, on_end))

    # --- what came of it -------------------------------------------------------------------------

    def _take(self, picture: Picture, end: End) -> None:
        match end:
            case Stored():
                self._is_sent(picture, end)
            case There():
                self._found_there(picture, end)
            case AwsError():
                self._is_refused(picture, end)
            case OSError():
                self._emit(unreadable(picture.source.name, end))
            case bytes():
                self._is_hashed(replace(picture, source_sha256=end))
            case Converted() | NotConverted():
                made = converted(picture, end)
                if isinstance(made, Picture):
                    self._put(made)
                else:
                    self._emit(made)
            case None:  # nothing was found under its key
                self._go_on(replace(picture, again=picture.is_ready))
            case Exception():
                raise end

    def _is_refused(self, picture: Picture, error: AwsError) -> None:
        if not exists(error) or picture.again:
            self._refusals.take(picture.source, error)
        elif self._force:
            self._put(replace(picture, again=True))
        else:
            self._ask(picture)

    def _is_hashed(self, picture: Picture) -> None:
        if picture.there is not None:
            self._found_there(picture, picture.there)
        elif self._listing is None and not self._force:
            self._ask(picture)
        else:
            self._convert(picture)

    def _ask(self, picture: Picture) -> None:
        """What is there under its key."""

        def ask() -> There | None:
            try:
                return asked(self._aws, self._names.bucket, picture.source.key)
            except AwsError:  # so it is sent
                return None

        self._beside(picture, ask)

    def _found_there(self, picture: Picture, there: There) -> None:
        source = picture.source
        same = not self._force and is_there(picture, there, self._journal)
        if same is None and not there.asked:
            self._ask(picture)
        elif same:
            self._note_place(picture, there)
            self.outcome.unchanged += 1
            self._emit(Unchanged(source.key, source.name, there.version_id, picture.size_bytes))
            self._refusals.one_taken()
        else:
            self._go_on(replace(picture, again=True))

    def _note_place(self, picture: Picture, there: There) -> None:
        """Of one that is there already: sent from elsewhere, or from a file that has moved since."""
        source = picture.source
        if source.path is not None and not self._journal.has_place(source.key, source.place):
            self._journal.write(_entry(picture, there.size_bytes, there.etag, there.version_id))

    def _is_sent(self, picture: Picture, stored: Stored) -> None:
        source = picture.source
        self._journal.write(_entry(picture, len(picture.data), stored.etag, stored.version_id))
        self.outcome.sent += 1
        self._emit(
            Sent(
                source.key,
                source.name,
                stored.version_id,
                picture.again,
                picture.size_bytes,
                converted=picture.kind,
                is_smaller=picture.is_smaller,
                tells_place=picture.tells_place,
            )
        )
        self._refusals.one_taken()

    # --- the end ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing more, let those under way end for a moment, and tell where it stands."""
        self._window.settle(_GRACE_S)
        self._window.cancel()
        self._puts.close()
        self._window.settle(_CANCELLED_S)
        going = sum(picture.is_ready for picture in self._window.pictures)
        if self.outcome != Outcome() or going:
            self._emit(Stopped(self.outcome.sent, self.outcome.unchanged, going))

    def close(self) -> None:
        self._puts.close()
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._journal.close()


def _entry(picture: Picture, size_bytes: int, etag: str, version_id: str | None) -> Entry:
    of_file, sent = picture.source_sha256.hex(), picture.sha256.hex()
    return Entry(picture.source.key, size_bytes, of_file, sent, etag, version_id, picture.source.place)


def _drained(ahead: deque[Planned]) -> Iterator[Planned]:
    while ahead:
        yield ahead.popleft()
