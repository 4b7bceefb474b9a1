"""What a finished picture lacks: features that were added since, and answers of an older local model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgpipe_cli.session.settings import FEATURES

if TYPE_CHECKING:
    from shared.result_item import ResultItem

MOST_COUNTED = 5_000
"""So many results are read to count; that takes a few seconds."""


@dataclass(frozen=True)
class Expected:
    """What a result should hold by now.

    features: those of the pipeline. models: by feature, the model that answers now. It is empty on AWS, where
    another analysis is billed, and where no answer tells beforehand which model will give it.
    """

    features: tuple[str, ...]
    models: Mapping[str, str] = field(default_factory=dict)

    def unanswered(self, item: ResultItem) -> tuple[str, ...]:
        """The features that nobody asked for when the picture was analyzed."""
        return tuple(one for one in self.features if one not in item and one not in _unavailable(item))

    def outdated(self, item: ResultItem) -> dict[str, str]:
        """The features that another model answers now: feature -> the model of the stored answer.

        It is "" where the stored answer names none, or says that the feature is not available.
        """
        before = {one: item["models"].get(one, "") for one in (*item, *_unavailable(item)) if one in FEATURES}
        return {
            one: before[one]
            for one in self.features
            if one in before and self.models.get(one, before[one]) != before[one]
        }

    def lacking(self, item: ResultItem) -> tuple[str, ...]:
        """Both, in the order of the features."""
        lacks = {*self.unanswered(item), *self.outdated(item)}
        return tuple(one for one in self.features if one in lacks)


@dataclass(frozen=True)
class Newer(Expected):
    """The same of a pipeline whose features are not known: only models count, for what is stored."""

    def unanswered(self, item: ResultItem) -> tuple[str, ...]:
        """Nothing: it is not known what is asked for."""
        del item
        return ()


@dataclass(frozen=True)
class Lacking:
    """How many finished pictures lack something. features: how many lack each; complete: all were counted."""

    pictures: int
    features: Mapping[str, int]
    complete: bool = True


def count_lacking(
    pages: Iterable[list[ResultItem]], expected: Expected, *, at_most: int = MOST_COUNTED
) -> Lacking:
    """Count over pages of results, newest first, as `listing.pages` gives them; its errors come through.

    at_most: after so many results it ends, and is not complete.
    """
    seen: set[str] = set()
    features: Counter[str] = Counter()
    pictures, complete = 0, True
    for page in pages:
        if len(seen) >= at_most:
            complete = False
            break
        for item in page:
            if item["objectKey"] in seen or item["status"] != "done":
                continue
            seen.add(item["objectKey"])
            lacks = expected.lacking(item)
            features.update(lacks)
            pictures += bool(lacks)
    return Lacking(pictures, dict(features), complete)


def models_of(capabilities: Mapping[str, Any] | None) -> dict[str, str]:
    """The model that answers for each feature now, from what the local cloud says of its analysis.

    Features that it cannot give are left out; it is empty while the analysis is still loading.
    """
    operations = (capabilities or {}).get("operations", {})
    found = {feature: operations.get(operation, {}).get("model") for feature, operation in FEATURES.items()}
    return {feature: str(model) for feature, model in found.items() if model}


def _unavailable(item: ResultItem) -> Mapping[str, Any]:
    return item.get("unavailable", {})
