"""Asking the API for pictures by what is in them, and for the labels that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas.source import results
from imgpipe_cli.pictures.api import PAGE, Api, refusal, repeated

if TYPE_CHECKING:
    from shared.result_item import ResultItem


@dataclass(frozen=True)
class Search:
    """labels: all of them, or with any_label one of them. text, name: words, all of which must be there.

    min_confidence: percent, of labels and words. status: as stored; "": any.
    """

    labels: tuple[str, ...] = ()
    any_label: bool = False
    text: str = ""
    name: str = ""
    min_confidence: float = 0.0
    status: str = ""
    prefix: str = ""

    @property
    def leaves_out_stored(self) -> bool:
        """Whether less certain labels may be stored."""
        return self.min_confidence > results.STORED_FROM

    @property
    def query(self) -> dict[str, Any]:
        """As the API is asked."""
        found = {"text": self.text, "name": self.name, "status": self.status, "prefix": self.prefix}
        return {
            "label": list(self.labels),
            **({"any": "true"} if self.any_label else {}),
            **{name: value for name, value in found.items() if value},
            "min_confidence": f"{self.min_confidence:g}",
        }


@dataclass
class FoundPages:
    """Pages of what a search finds, best first, each asked for again while the API is busy.

    left: how many are still wanted; None: all. index: whether the index is `complete`, and if not how many
    results it has `filled`, `of` how many; as the last page told. more: the cursor after the last page, None
    at the end.
    """

    api: Api
    search: Search
    left: int | None = None
    index: Mapping[str, Any] | None = None
    more: str | None = None

    def results(self, *, limit: int = PAGE, after: str | None) -> tuple[list[ResultItem], str | None]:
        """Raises ApiUnavailable, and Problem, also for a pipeline that is older than its index."""
        limit = limit if self.left is None else min(limit, self.left)
        query = {**self.search.query, "limit": limit, **({"after": after} if after else {})}
        document = _asked(self.api, "/results", query)
        if "index" not in document:
            raise _no_index()
        self.index, self.more = document["index"], document.get("next")
        if self.left is not None:
            self.left = max(self.left - len(document["items"]), 1)
        return document["items"], self.more


def labels(api: Api, prefix: str, min_confidence: float) -> Iterator[dict[str, Any]]:
    """Each label that pictures have: `name`, `count`, and `more` where there was no time to count them all.

    Raises as `FoundPages.results`.
    """
    query = {"prefix": prefix, "min_confidence": f"{min_confidence:g}"}
    while True:
        document = _asked(api, "/labels", query)
        yield from document["items"]
        if document["next"] is None:
            return
        query["after"] = document["next"]


def _asked(api: Api, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        status, document = api.get(path, query)
        if status == 200 and isinstance(document, dict) and isinstance(document.get("items"), list):
            return document
        raise _no_index() if status == 404 else refusal(status, document)

    return repeated(ask)


def _no_index() -> Problem:
    return Problem(
        "older_pipeline",
        "This pipeline was set up by an older imgpipe, which has no index to find pictures by.",
        hint="Run imgpipe up: it makes the index from the stored results, and analyzes nothing.",
    )
