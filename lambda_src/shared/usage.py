"""What was paid in a month: one row of the index with counters, which ADD makes and raises.

Months are those of UTC, as on AWS's bill. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import index_rows
from .results import FEATURES

ANALYSES = "analyses"
"""The counter of all analyses: one for each feature of a picture that Rekognition is asked for."""

PICTURES = "pictures"
"""The counter of pictures that Rekognition was asked about, or that have the analysis of another: each
version of a picture once a month, however often it is analyzed."""


def month_of(now: datetime) -> str:
    """Such as 2026-11."""
    return now.astimezone(UTC).strftime("%Y-%m")


def monthly_limit(environment: Mapping[str, str]) -> int | None:
    """The most analyses in a month, as the functions are set up; None: there is no limit."""
    text = environment.get("MONTHLY_LIMIT", "")
    return int(text) if text else None


def row_of(month: str) -> dict[str, str]:
    """The key of the month's row."""
    return {"pk": index_rows.month_pk(month), "sk": index_rows.ONE}


def analyzed(feature: str) -> str:
    """The counter of a feature's analyses."""
    return f"analyzed_{feature}"


def reused(feature: str) -> str:
    """The counter of a feature's answers that were taken from pictures of the same bytes."""
    return f"reused_{feature}"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A month's counters. analyzed, reused: by feature, those above 0."""

    month: str
    pictures: int
    analyses: int
    analyzed: Mapping[str, int]
    reused: Mapping[str, int]


def usage_of(month: str, row: Mapping[str, Any] | None) -> Usage:
    """What the month's row says; None: nothing was counted yet."""
    counters = row or {}

    def above_0(name_of: Any) -> dict[str, int]:
        return {one: int(counters[name_of(one)]) for one in FEATURES if counters.get(name_of(one))}

    return Usage(
        month=month,
        pictures=int(counters.get(PICTURES, 0)),
        analyses=int(counters.get(ANALYSES, 0)),
        analyzed=above_0(analyzed),
        reused=above_0(reused),
    )
