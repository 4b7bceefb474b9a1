"""The pictures under way: a bounded number of them, and of their bytes, so that memory has a limit."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.put import Cancel, Stored
from imgpipe_cli.pictures.converting.workers import Converted, NotConverted
from imgpipe_cli.pictures.sending.picture import Picture
from imgpipe_cli.pictures.sending.unchanged import There
from imgpipe_cli.system.threads import TICK_S

# More are not faster.
_MOST = 128
_MOST_BYTES = 64 * 1024 * 1024

End = Stored | There | None | bytes | Converted | NotConverted | Exception
"""What came of one: stored, or what was found under its key, None for nothing. Of one that is converted also
the hash of its file, and the JPEG, or why there is none. AwsError: it was refused; OSError: it cannot be
read."""

OnEnd = Callable[[End], None]
Take = Callable[[Picture, End], None]


class Window:
    """One thread, the caller's, adds pictures and takes what came of them; the work is done in others."""

    def __init__(self, take: Take) -> None:
        """take: gets each that has ended, in the caller's thread."""
        self._take = take
        self._under_way: dict[int, tuple[Picture, Cancel]] = {}
        self._bytes = 0
        self._ended: queue.SimpleQueue[tuple[int, End]] = queue.SimpleQueue()
        self._is_answered = False
        self.begun = 0

    @property
    def pictures(self) -> list[Picture]:
        return [picture for picture, _ in self._under_way.values()]

    def add(self, picture: Picture, begin: Callable[[OnEnd], Cancel]) -> None:
        """begin: starts the work, and returns what cancels it; it calls what it is given, once."""
        number, self.begun = self.begun, self.begun + 1
        self._bytes += picture.weight
        self._under_way[number] = picture, _nothing
        try:
            cancel = begin(lambda end: self._ended.put((number, end)))
        except AwsError as error:
            self._ended.put((number, error))
        else:
            self._under_way[number] = picture, cancel

    def make_room(self, size_bytes: int) -> None:
        """Wait until one more may be under way. None begins before S3 has answered to the first one: that may
        show that none can be sent."""
        while self._under_way and (
            not self._is_answered or len(self._under_way) >= _MOST or self._bytes + size_bytes > _MOST_BYTES
        ):
            self.take_ended(wait=True)

    def take_ended(self, *, wait: bool = False) -> None:
        """All that have ended; wait: for one at least."""
        if wait:
            with contextlib.suppress(queue.Empty):
                self._take_one(*self._ended.get(timeout=TICK_S))
        while not self._ended.empty():  # no other thread takes any
            self._take_one(*self._ended.get_nowait())

    def _take_one(self, number: int, end: End) -> None:
        picture, _ = self._under_way[number]
        self._is_answered = self._is_answered or isinstance(end, Stored | AwsError | There)
        try:
            self._take(picture, end)
        except Exception:
            self._forget(number)
            raise
        # Not on Ctrl-C: a picture that is not counted yet is one that may be there.
        self._forget(number)

    def _forget(self, number: int) -> None:
        picture, _ = self._under_way.pop(number)
        self._bytes -= picture.weight

    def drain(self) -> None:
        """Wait until all have ended."""
        while self._under_way:
            self.take_ended(wait=True)

    def settle(self, seconds: float) -> None:
        """Wait so long for those that end by themselves; only what is stored by then is taken."""
        until = time.monotonic() + seconds
        while self._under_way and (left_s := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                number, end = self._ended.get(timeout=left_s)
                if isinstance(end, Stored):
                    self._take(self._under_way[number][0], end)
                self._forget(number)

    def cancel(self) -> None:
        for _, cancel in self._under_way.values():
            cancel()


def _nothing() -> None:
    """The cancelling of what has not begun."""
