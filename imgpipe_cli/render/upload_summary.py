"""What became of the pictures of an upload, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgpipe_cli.pictures.listing import filtered
from imgpipe_cli.render.text import safe

if TYPE_CHECKING:
    from shared.result_item import ResultItem

_NAMED = 10


@dataclass
class Results:
    """Results in numbers: labels by name, and failures by reason.

    reused: of the analyzed ones, those with no answer of their own, since others have the same bytes.
    """

    min_confidence: float
    analyzed: int = 0
    reused: int = 0
    failed: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def take(self, item: ResultItem) -> None:
        if item["status"] == "failed":
            self.failed += 1
            self.reasons[item["error"]["code"]] += 1
            return
        self.analyzed += 1
        answered = {feature for feature in item["features"] if feature in item}
        self.reused += bool(answered) and answered <= item.get("reusedFrom", {}).keys()
        found = filtered(item, self.min_confidence).get("labels", [])
        self.labels.update({label["Name"] for label in found})


def by_label_and_reason(results: Results) -> str:
    """The most frequent of each; "" where there is none."""
    lines = (("Labels", results.labels), ("Failed", results.reasons))
    return "\n".join(f"{title}: {_most(counts)}." for title, counts in lines if counts)


def _most(counts: Counter[str]) -> str:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    named = [f"{safe(name)} {number:,}" for name, number in ordered[:_NAMED]]
    return ", ".join([*named, *([f"{len(ordered) - _NAMED:,} more"] if len(ordered) > _NAMED else [])])


def by_kind(converted: Counter[str], *, smaller: int) -> str:
    """{"HEIC": 8, "TIFF": 3} -> "8 HEIC, 3 TIFF". smaller: how many of them have fewer pixels now."""
    ordered = sorted(converted.items(), key=lambda one: (-one[1], one[0]))
    made = f"; {smaller:,} with fewer pixels" if smaller else ""
    return ", ".join(f"{number:,} {kind}" for kind, number in ordered) + made


def total(sent: int, results: Results | None, others: Mapping[str, int]) -> str:
    """One line that counts all pictures. results: None where they are not waited for."""
    analyzed = []
    if results is not None:
        reused = f" ({results.reused:,} reused)" if results.reused else ""
        analyzed = [f"{results.analyzed:,} analyzed{reused}"]
    counted = [f"{number:,} {word}" for word, number in others.items() if number]
    return ", ".join([f"{sent:,} sent", *analyzed, *counted]) + "."
