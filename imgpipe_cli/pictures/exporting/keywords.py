"""A result's labels as keywords: their names, and the ways that lead to them from what they are kinds of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.result_item import ResultItem

SEPARATOR = "|"
# A label may be reached through several parents; no real one has more ways.
_MOST_WAYS = 8
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Keywords:
    """names: Cat, Animal. paths: Animal|Cat, Animal; one at least of each name."""

    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def keywords(item: ResultItem) -> Keywords:
    """In the order of the labels, the most certain first."""
    labels = item.get("labels", [])
    above = {
        name: frozenset(_word(one["Name"]) for one in label.get("Parents", [])) - {""}
        for label in labels
        if (name := _word(label["Name"]))
    }
    paths = (SEPARATOR.join(way) for name in above for way in _ways(name, above))
    return Keywords(tuple(above), tuple(dict.fromkeys(paths)))


@lru_cache(4096)
def _word(name: str) -> str:
    """As one line, without the sign between two levels."""
    return " ".join("".join(char if char.isprintable() else " " for char in name).split()).replace("|", "/")


def _ways(name: str, above: Mapping[str, frozenset[str]]) -> list[tuple[str, ...]]:
    """Each from the top down to the name. Rekognition names all that stands above a label, in no order."""
    found: list[tuple[str, ...]] = []
    for way in _upwards((name,), above):
        found.append(way)
        if len(found) == _MOST_WAYS:
            break
    return found


def _upwards(way: tuple[str, ...], above: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, ...]]:
    ancestors = above.get(way[0], _NONE).difference(way)
    # Those next to it: not above another one of them.
    further = [above[one] - {one} for one in ancestors if one in above]
    nearest = ancestors.difference(*further)
    if not nearest:
        yield way
    elif not any(further):  # they are at the top
        yield from [(one, *way) for one in sorted(nearest)]
        return
    for one in sorted(nearest):
        yield from _upwards((one, *way), above)
