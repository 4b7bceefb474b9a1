"""From what the finders saw to Rekognition's labels: ancestors, thresholds, filters, order.

A finder hands over sightings. Whoever adds a finder (an object model, say) adds its sightings to the tuple
and its names to taxonomy.py; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgpipe_cli.local.rekognition.geometry import Box
from imgpipe_cli.local.rekognition.taxonomy import kind_of
from imgpipe_cli.local.rekognition.wire import Fields, names, number, optional_member, whole

DEFAULT_MIN_CONFIDENCE = 55.0
MAX_LABELS = 1000


@dataclass(frozen=True)
class Sighting:
    """One thing seen. Confidence from 0 to 100; box only where the finder really locates the thing."""

    name: str
    confidence: float
    box: Box | None = None
    colors: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True)
class Wanted:
    """The part of a request that chooses labels."""

    min_confidence: float = DEFAULT_MIN_CONFIDENCE
    max_labels: int = MAX_LABELS
    included: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    included_categories: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()

    def takes(self, name: str, categories: Iterable[str]) -> bool:
        """Whether the filters let a label pass: any inclusion suffices, any exclusion forbids.

        How AWS combines inclusions of labels and of categories is not documented.
        """
        kinds = frozenset(categories)
        if name in self.excluded or kinds & self.excluded_categories:
            return False
        if not self.included and not self.included_categories:
            return True
        return name in self.included or bool(kinds & self.included_categories)


def wanted(request: Fields) -> Wanted:
    filters = optional_member(optional_member(request, "Settings") or {}, "GeneralLabels") or {}
    return Wanted(
        min_confidence=number(request, "MinConfidence", DEFAULT_MIN_CONFIDENCE),
        max_labels=min(whole(request, "MaxLabels", MAX_LABELS), MAX_LABELS),
        included=names(filters, "LabelInclusionFilters"),
        excluded=names(filters, "LabelExclusionFilters"),
        included_categories=names(filters, "LabelCategoryInclusionFilters"),
        excluded_categories=names(filters, "LabelCategoryExclusionFilters"),
    )


@dataclass
class _Label:
    confidence: float = 0.0
    sightings: list[Sighting] = field(default_factory=list)


def labels(sightings: Sequence[Sighting], choice: Wanted, *, max_colors: int = 0) -> list[dict[str, Any]]:
    """The answer's Labels, the surest first. A label is as sure as its surest sighting, and an ancestor as
    its surest descendant. A label that passes keeps all boxes of its own; none is made up for an ancestor."""
    found: dict[str, _Label] = {}
    for sighting in sightings:
        found.setdefault(sighting.name, _Label()).sightings.append(sighting)
        for name in (sighting.name, *kind_of(sighting.name).parents):
            label = found.setdefault(name, _Label())
            label.confidence = max(label.confidence, sighting.confidence)
    kept = [
        _wire(name, label, max_colors)
        for name, label in sorted(found.items(), key=lambda pair: (-pair[1].confidence, pair[0]))
        if label.confidence >= choice.min_confidence and choice.takes(name, kind_of(name).categories)
    ]
    return kept[: choice.max_labels]


def _wire(name: str, label: _Label, max_colors: int) -> dict[str, Any]:
    kind = kind_of(name)
    located = [sighting for sighting in label.sightings if sighting.box is not None]
    located.sort(key=lambda sighting: -sighting.confidence)
    return {
        "Name": name,
        "Confidence": round(label.confidence, 4),
        "Instances": [_instance(sighting, max_colors) for sighting in located],
        "Parents": [{"Name": parent} for parent in kind.parents],
        "Aliases": [{"Name": alias} for alias in kind.aliases],
        "Categories": [{"Name": category} for category in kind.categories],
    }


def _instance(sighting: Sighting, max_colors: int) -> dict[str, Any]:
    assert sighting.box is not None
    instance: dict[str, Any] = {
        "BoundingBox": sighting.box.wire(),
        "Confidence": round(sighting.confidence, 4),
    }
    if sighting.colors is not None:
        instance["DominantColors"] = list(sighting.colors[:max_colors])
    return instance
