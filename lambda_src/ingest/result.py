"""Building the stored result item. Pure; the item's names are the contract with every reader.

`width` and `height` are those of the file, before any EXIF rotation. A failed item keeps the findings of the
features that did answer: they are paid for, true, and all that a retry does not have to ask again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest.analysis import Findings, Outcome, Unavailable
from ingest.faults import Fault
from ingest.history import Work
from ingest.permits import Permit
from ingest.trim import trimmed
from shared.events import Arrival
from shared.result_objects import iso
from shared.results import FEATURES

if TYPE_CHECKING:
    from shared.result_item import Original, StoredItem


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was learned about the object before anything was paid.

    `width`, `height` and `sha256` are None when unknown, `orientation` for an upright picture.
    """

    version_id: str | None
    etag: str
    size_bytes: int | None
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    original: Original | None = None
    orientation: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All that was found out about one picture; with `fault` the result is "failed".

    work: what was asked for. asked: what came of it, also without asking Rekognition. permit: what it was
    asked by. left: the features that a finished picture lacks still, since the month has no room for them.
    """

    facts: Facts
    work: Work
    asked: Mapping[str, Outcome] = field(default_factory=dict)
    fault: Fault | None = None
    permit: Permit | None = None
    left: tuple[str, ...] = ()

    @property
    def bought(self) -> dict[str, Findings | Unavailable]:
        """The answers that need not be asked for again."""
        answers = {name: found for name, found in self.asked.items() if not isinstance(found, Fault)}
        return {**self.work.kept, **answers}

    @property
    def answered(self) -> dict[str, Findings | Unavailable]:
        """All answers: where a new one failed, that of before."""
        return {**self.work.replaced, **self.bought}


def worst(faults: Iterable[Fault]) -> Fault | None:
    """The fault that decides: a retryable one, if there is any, since then all is looked at again."""
    return min(faults, key=lambda fault: not fault.retryable, default=None)


def item(
    arrival: Arrival,
    examination: Examination,
    *,
    asked: Iterable[str],
    now: datetime,
    duration_ms: int,
    tries_left: int,
) -> StoredItem:
    """The result item, small enough for DynamoDB. Attributes without a value are left out.

    tries_left: how many more tries Lambda makes of the event, should this one have failed.
    """
    answers = examination.answered
    found = {feature: answer for feature, answer in answers.items() if isinstance(answer, Findings)}
    missing = {
        feature: asdict(answer) for feature, answer in answers.items() if isinstance(answer, Unavailable)
    }
    features = {*asked, *found, *missing}
    facts = examination.facts
    time = now.astimezone(UTC)
    origins = {feature: answer.origin for feature, answer in found.items() if answer.origin}
    optional = {
        "versionId": facts.version_id,
        "sizeBytes": facts.size_bytes,
        "contentType": facts.content_type,
        "width": facts.width,
        "height": facts.height,
        "original": facts.original,
        "orientation": facts.orientation,
        "sha256": facts.sha256,
        "reusedFrom": origins or None,
        "unavailable": missing or None,
        "error": examination.fault.stored(tries_left) if examination.fault else None,
    }
    whole = {
        "objectKey": arrival.key,
        "bucket": arrival.bucket,
        "status": "failed" if examination.fault else "done",
        "analyzedAt": iso(time),
        "day": time.date().isoformat(),
        "eTag": facts.etag,
        "sequencer": examination.work.sequencer,
        "features": [feature for feature in FEATURES if feature in features],
        "models": {feature: answer.model for feature, answer in found.items() if answer.model},
        "durationMs": duration_ms,
        **{name: value for name, value in optional.items() if value is not None},
        **{feature: answer.entries for feature, answer in found.items()},
    }
    return trimmed(whole, {feature: answer.lost for feature, answer in found.items() if answer.lost})
