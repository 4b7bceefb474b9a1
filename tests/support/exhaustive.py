"""Cases that are many and much alike: sampled by `make test`, all of them in `make test-all`.

Kill points, interleavings, event histories, sizes. A slice of those that `make test` leaves out runs in
`make ci`; it moves with the commit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Share:
    """Which of the exhaustive cases run: a sample, all, or (only they, then) one slice of so many."""

    everything: bool = False
    slice: int = 0
    of: int = 0

    @classmethod
    def parse(cls, text: str) -> Share:
        """Raises ValueError for anything but "all" or "K/N"."""
        if text == "all":
            return cls(everything=True)
        number, _, of = text.partition("/")
        if not 0 <= int(number) < int(of):
            raise ValueError(f"{text!r} is no slice: the first of ten is 0/10, the last 9/10")
        return cls(slice=int(number), of=int(of))


SAMPLE = Share()
share = SAMPLE
_MARK = "exhaustive"


def cases(every: Iterable[Any], *, keep: int) -> list[Any]:
    """Cases for `parametrize`, of which `make test` runs `keep`, evenly spread."""
    found = list(every)
    kept = set(_spread(len(found), keep))
    return [one if place in kept else only(one) for place, one in enumerate(found)]


def points(count: int, *, keep: int) -> Sequence[int]:
    """The numbers below count for a loop inside a test, of which `make test` runs `keep`, evenly spread.

    Such a test carries the marker `loops`."""
    if share.everything:
        return range(count)
    if share.of:
        return range(share.slice % min(share.of, count), count, share.of)
    return _spread(count, keep)


def is_chosen(item: pytest.Item) -> bool:
    if share.everything:
        return True
    alike = item.get_closest_marker(_MARK) is not None
    if not share.of:
        return not alike
    mine = zlib.crc32(item.nodeid.encode()) % share.of == share.slice and not item.get_closest_marker(
        "minutes"
    )
    return (alike and mine) or item.get_closest_marker("loops") is not None


def _spread(count: int, keep: int) -> list[int]:
    if count <= keep:
        return list(range(count))
    return (
        sorted({round(place * (count - 1) / (keep - 1)) for place in range(keep)})
        if keep > 1
        else [count // 2]
    )


def only(case: Any, *, minutes: bool = False) -> Any:
    """A case for `parametrize` that `make test` leaves out. minutes: it takes too long for a slice."""
    marks = [pytest.mark.exhaustive, *([pytest.mark.minutes] if minutes else [])]
    if isinstance(case, type(pytest.param())):
        return pytest.param(*case.values, marks=[*case.marks, *marks], id=case.id)
    return pytest.param(*case, marks=marks) if isinstance(case, tuple) else pytest.param(case, marks=marks)
