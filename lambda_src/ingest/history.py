"""What an event means in the light of what is stored already. Pure: no AWS, no clock.

S3 delivers events at least once and in any order. Events of one key are ordered by their sequencer; one
version is analysed once, whatever is delivered how often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.analysis import Findings, Unavailable
from ingest.event import NO_SEQUENCER, Arrival, Removal
from shared.results import FEATURES, REMOVED

Stored = Mapping[str, Any]
Answered = Mapping[str, Findings | Unavailable]


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Nothing is to be done for this event."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """Ask for the `missing` features; the `kept` ones are paid for already.

    `sequencer` is the one to store. `other_version` says that a good result of another version of this key
    stands.
    """

    missing: tuple[str, ...]
    kept: Answered
    kept_trimmed: Mapping[str, int]
    sequencer: str
    other_version: bool


def plan(arrival: Arrival, stored: Stored | None, wanted: Sequence[str]) -> Skip | Work:
    """Decide about a created object; `wanted` are the features that the pipeline is set to."""
    if stored is None:
        return _all(arrival, wanted)
    same = _same_object(arrival, stored)
    if stored["status"] == REMOVED and stored.get("versionId") == (arrival.version_id or ""):
        return Skip(reason="removed")
    if not same and stored["sequencer"] > arrival.sequencer:
        return Skip(reason="removed" if stored["status"] == REMOVED else "a newer event is stored")
    if not same:
        return _all(arrival, wanted, other_version=stored["status"] == "done")
    return _rest(arrival, stored, wanted)


def _all(arrival: Arrival, wanted: Sequence[str], *, other_version: bool = False) -> Work:
    return Work(
        missing=tuple(wanted),
        kept={},
        kept_trimmed={},
        sequencer=arrival.sequencer,
        other_version=other_version,
    )


def _rest(arrival: Arrival, stored: Stored, wanted: Sequence[str]) -> Skip | Work:
    """The same object again: a duplicate, a retry, or a replay after more features were switched on."""
    if stored["status"] == "failed" and not stored["error"]["retryable"]:
        return Skip(reason="already refused")
    kept = answered(stored)
    missing = tuple(feature for feature in wanted if feature not in kept)
    if stored["status"] == "done" and not missing:
        return Skip(reason="already done")
    return Work(
        missing=missing,
        kept=kept,
        kept_trimmed=stored.get("trimmed", {}),
        # A replay made by hand may carry no sequencer.
        sequencer=max(arrival.sequencer, stored["sequencer"]),
        other_version=False,
    )


def _same_object(arrival: Arrival, stored: Stored) -> bool:
    if stored["status"] == REMOVED:
        return False
    if arrival.version_id in (None, "null"):
        # Without versions every overwrite is another object under the same name.
        return bool(stored["sequencer"] == arrival.sequencer)
    return bool(stored.get("versionId") == arrival.version_id)


def answered(stored: Stored) -> dict[str, Findings | Unavailable]:
    """The features that a stored verdict has answers for."""
    answers: dict[str, Findings | Unavailable] = {}
    for feature in FEATURES:
        if feature in stored:
            answers[feature] = Findings(entries=stored[feature], model=stored.get("models", {}).get(feature))
        elif feature in stored.get("unavailable", {}):
            answers[feature] = Unavailable(**stored["unavailable"][feature])
    return answers


def tombstone(removal: Removal, stored: Stored | None) -> dict[str, str] | None:
    """What to put in place of the stored item, without its expiry.

    None when the removal does not concern it.
    """
    mark = {"objectKey": removal.key, "status": REMOVED, "sequencer": removal.sequencer}
    if removal.version_id is None:
        older = stored is not None and stored["sequencer"] > removal.sequencer
        return None if older else mark
    mark["versionId"] = removal.version_id
    if stored is None:
        # Its arrival may still be on the way and must not be reported as failed. Other versions of this key
        # may live, so this mark is older than every event: it stops that one version and nothing else.
        return {**mark, "sequencer": NO_SEQUENCER}
    if stored["status"] == REMOVED or stored.get("versionId") != removal.version_id:
        return None
    return None if stored["sequencer"] > removal.sequencer else mark
