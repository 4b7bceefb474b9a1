"""What GET /results is asked to find: labels, words seen in pictures, words of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.confidence import min_confidence
from shared.http_api import ApiError, Request
from shared.index_rows import certainties, folded, hash_of, label_pk, name_pk, text_pk, words
from shared.result_item import ResultItem
from web.index_reader import IndexReader, side_by_side

MAX_LABELS = 10
MAX_WORDS = 10
NARROW = 2000
"""Where no more pictures than that are in question, no others are read."""

Group = tuple[str, ...]
"""pks of which a picture needs one."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """labels: names; any_label: one of them is enough. text, name: words, all of which must be there."""

    labels: tuple[str, ...] = ()
    any_label: bool = False
    text: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    min_confidence: float = 0.0

    @property
    def everything(self) -> bool:
        return not (self.labels or self.text or self.name)

    @property
    def mark(self) -> str:
        """Short for the conditions that a place depends on: another prefix only leaves out others."""
        pks = (*map(label_pk, self.labels), *map(text_pk, self.text), *map(name_pk, self.name))
        return hash_of("\n".join((f"{self.any_label}", *pks)))[:8]

    def groups(self, index: IndexReader) -> tuple[Group, ...]:
        """A picture needs one pk of each group. Names of labels that mean others are looked up."""
        labels = [tuple(pks) for pks in side_by_side(index.labels_called, self.labels)]
        if self.any_label and labels:
            labels = [tuple(dict.fromkeys(pk for group in labels for pk in group))]
        return (*labels, *((text_pk(word),) for word in self.text), *((name_pk(word),) for word in self.name))


def parse_search(request: Request) -> Search:
    """Raises ApiError 400 `invalid_label`, `invalid_any`, `invalid_text`, `invalid_name` or
    `invalid_min_confidence`."""
    labels = tuple(dict.fromkeys(request.every.get("label", ())))
    if len(labels) > MAX_LABELS or not all(map(folded, labels)):
        raise ApiError(400, "invalid_label", f"label is a name, given at most {MAX_LABELS} times.")
    any_label = request.query.get("any", "false")
    if any_label not in ("true", "false"):
        raise ApiError(400, "invalid_any", "any is true or false.")
    return Search(
        labels=labels,
        any_label=any_label == "true",
        text=_words(request.query, "text"),
        name=_words(request.query, "name"),
        min_confidence=min_confidence(request.query.get("min_confidence")) or 0.0,
    )


def _words(query: Mapping[str, str], field: str) -> tuple[str, ...]:
    found = tuple(words(query[field])) if field in query else ()
    if field in query and not 1 <= len(found) <= MAX_WORDS:
        raise ApiError(400, f"invalid_{field}", f"{field} has 1 to {MAX_WORDS} words of letters or digits.")
    return found


@dataclass(frozen=True, kw_only=True)
class Labeled:
    """Pictures with a label. hashes: of their keys; None where they are many, or the index lacks some."""

    pks: Group
    min_confidence: float
    hashes: set[str] | None

    def may_be(self, name: str) -> bool:
        """Before its result is read. name: of an entry by time, a key or after a tilde its hash."""
        return self.hashes is None or name.startswith("~") or hash_of(name) in self.hashes

    def matches(self, item: ResultItem) -> bool:
        (certain,) = certainties_by_group(item, (self.pks,))
        return certain is not None and certain >= self.min_confidence


def parse_labeled(request: Request, index: IndexReader, *, complete: bool) -> Labeled | None:
    """Raises ApiError 400 `invalid_with_label` or `invalid_min_confidence`."""
    name = request.query.get("with_label")
    if name is None:
        return None
    if not folded(name):
        raise ApiError(400, "invalid_with_label", "with_label is the name of a label.")
    least = min_confidence(request.query.get("min_confidence")) or 0.0
    pks = tuple(index.labels_called(name))
    return Labeled(pks=pks, min_confidence=least, hashes=index.few(pks, least, NARROW) if complete else None)


def certainties_by_group(item: ResultItem, groups: tuple[Group, ...]) -> list[float | None]:
    """How certain a result is of each group; None where it has nothing of it."""
    found = certainties(item)
    return [max((found[pk] for pk in group if pk in found), default=None) for group in groups]
