"""How far an upload is, in the words of one line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from imgpipe_cli.events import Arrived, Event, PassedOver, Refused, Sent, Stopped, Unchanged
from imgpipe_cli.render.text import count, size

# Before that a rate is chance.
_RATE_AFTER_S = 2.0


class Total(Protocol):
    """All that is to be sent, as far as it is known."""

    files: int
    size_bytes: int
    is_known: bool


class Transfer:
    """Counts the events of one upload."""

    def __init__(self, total: Total, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._bytes = 0
        self._counts: Counter[str] = Counter()
        self._clock = clock
        self._began = clock()

    def take(self, event: Event) -> None:
        match event:
            case Sent(size_bytes=size_bytes):
                self._bytes += size_bytes
                self.done += 1
            case Unchanged():
                self._count("unchanged")
            case Refused():
                self._count("refused")
            case PassedOver(reason="no_picture"):
                self._count("skipped")
            case Arrived(item=item):
                self._counts["failed" if item["status"] == "failed" else "analyzed"] += 1

    def _count(self, word: str) -> None:
        self._counts[word] += 1
        self.done += 1

    @property
    def words(self) -> str:
        """The most telling first, with what became of the pictures: a narrow line ends early."""
        files = max(self.total.files, self.done)
        parts = [f"{self.done:,} of {files:,}{'' if self.total.is_known else '+'}"]
        bytes_ = [size(self._bytes)]
        elapsed_s = self._clock() - self._began
        if elapsed_s >= _RATE_AFTER_S and self.done:
            bytes_.append(f"{size(self._bytes / elapsed_s)}/s")
            if self.total.is_known and self.done < files:
                parts.append(f"{_duration(elapsed_s * (files - self.done) / self.done)} left")
        counts = (f"{number:,} {word}" for word, number in sorted(self._counts.items()))
        return ", ".join([*parts, *counts, *bytes_])


def _duration(seconds: float) -> str:
    """95 -> "1:35", 7265 -> "2:01:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def stopped(event: Stopped, transfer: Transfer | None) -> str:
    """What was sent, and what was not, of an upload that ended early."""
    parts = [f"{count(event.sent, 'picture')} sent"]
    if event.unchanged:
        parts.append(f"{event.unchanged:,} unchanged")
    if event.under_way:
        parts.append(f"{event.under_way:,} under way, some of which may be there")
    if event.results is not None:
        came, to_come = event.results
        parts += [f"{count(came, 'result')} came", f"{to_come:,} still to come"]
    if transfer is not None and transfer.total.is_known:
        left = max(transfer.total.files - transfer.done - event.under_way, 0)
        parts.append(f"{left:,} not sent")
    return f"Stopped: {', '.join(parts)}."
