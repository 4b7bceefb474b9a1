"""Results newest first, page by page, as far as they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.api import Api, ApiUnavailable, repeated
from imgpipe_cli.pictures.waiting import is_retrying

if TYPE_CHECKING:
    from shared.result_item import ResultItem

Status = Literal["done", "failed", "retrying"]

PAGE = 100
"""The most that one request may ask for."""


class Pages(Protocol):
    """Where results come from: a page of them, newest first, and the cursor of the next."""

    def results(self, *, limit: int, after: str | None) -> tuple[list[ResultItem], str | None]: ...


@dataclass(frozen=True)
class Wanted:
    """Which results are asked for; None and "": all. since: ISO 8601 UTC."""

    status: Status | None = None
    label: str | None = None
    min_confidence: float = 0.0
    prefix: str = ""
    since: str = ""

    @property
    def everything(self) -> bool:
        """True if no result that is new enough is passed over."""
        return not (self.status or self.label or self.prefix)

    @property
    def query(self) -> dict[str, str]:
        """As the API is asked for it, which knows no `retrying`, and refuses a label that is blank."""
        label = (self.label or "").strip()
        return {
            "status": "failed" if self.status == "retrying" else self.status or "",
            "prefix": self.prefix,
            "with_label": label,
            "min_confidence": f"{self.min_confidence}" if label else "",
        }

    def matches(self, item: ResultItem) -> bool:
        return (
            str(item["objectKey"]).startswith(self.prefix)
            and self.status in (None, status_of(item))
            and (self.label is None or _has_label(item, self.label, self.min_confidence))
        )


@dataclass
class PatientPages:
    """Pages of the API, each asked for again while it is busy.

    wanted: what the API leaves out, as far as it can; it finds a label by more names than `Wanted` does.
    left: how many are still wanted, so that the last page ends with the last of them; None: whole pages.
    more: the cursor after the last page, None at the end.
    """

    api: Api
    wanted: Wanted = Wanted()
    left: int | None = None
    more: str | None = None

    def results(self, *, limit: int, after: str | None) -> tuple[list[ResultItem], str | None]:
        limit = limit if self.left is None else min(limit, self.left)
        items, self.more = repeated(lambda: self.api.results(limit=limit, after=after, **self.wanted.query))
        if self.left is not None:
            # Where the API does not leave out the others, whole pages are fewer requests.
            is_exact = all(map(self.wanted.matches, items))
            self.left = max(self.left - len(items), 1) if is_exact else None
        return items, self.more


def status_of(item: ResultItem) -> Status:
    if item["status"] != "failed":
        return "done"
    return "retrying" if is_retrying(item) else "failed"


def _has_label(item: ResultItem, name: str, min_confidence: float) -> bool:
    """By its name or another name for it, in any case."""
    wanted = name.casefold()
    return any(
        label["Confidence"] >= min_confidence
        and wanted in (str(known["Name"]).casefold() for known in (label, *label.get("Aliases", [])))
        for label in item.get("labels", [])
    )


class CutShort(ApiUnavailable):
    """The list could not be read to its end. after: the cursor to go on with; None for its start."""

    def __init__(self, why: ApiUnavailable, after: str | None) -> None:
        super().__init__(str(why), status=why.status, broken=why.broken)
        self.after = after


def pages(source: Pages, size: int, after: str | None = None) -> Iterator[list[ResultItem]]:
    """All pages after a cursor; one may be empty although more follow. Raises CutShort, Problem."""
    while True:
        try:
            items, after = source.results(limit=size, after=after)
        except ApiUnavailable as error:
            raise CutShort(error, after) from error
        yield items
        if after is None:
            return


def matching(found: Iterable[list[ResultItem]], wanted: Wanted, limit: int) -> Iterator[ResultItem]:
    """The wanted results, newest first, at most limit (0: all). Takes no page that is not needed."""
    told: set[str] = set()
    for page in found:
        for item in page:
            if item["analyzedAt"] < wanted.since:
                return
            # Looked at again while we were reading, a picture stands in the list a second time.
            if item["objectKey"] in told or not wanted.matches(item):
                continue
            told.add(item["objectKey"])
            yield item
            if len(told) == limit:
                return


def filtered(item: ResultItem, min_confidence: float) -> ResultItem:
    """The item without what is less sure; stored results keep everything above a low floor.

    Properties are about the whole picture and have no confidence: they stay.
    """
    return functions.results.at_least(item, min_confidence)
