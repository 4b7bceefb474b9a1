"""What an event means in the light of what is stored already. Pure: no AWS, no clock.

S3 delivers events at least once and in any order. Events of one key are ordered by their sequencer; one
version is analyzed once, whatever is delivered how often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeGuard

from ingest.analysis import Findings, Unavailable
from shared.events import TRIES, Arrival, Removal
from shared.identity import is_of
from shared.results import FEATURES, REMOVED

if TYPE_CHECKING:
    from shared.result_item import Stored, StoredItem, Tombstone

Answered = Mapping[str, Findings | Unavailable]


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Nothing is to be asked for this event.

    `renewed` is to be stored, if there is one: the result as it stands, with the sequencer of this event,
    which is newer and about the same object. Otherwise a late event from in between would take its place.
    """

    reason: str
    renewed: StoredItem | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """Ask for the `missing` features; the `kept` ones are paid for already.

    `replaced`: the answers that stand for missing ones should asking fail; another model gives them now.
    `sequencer` is the one to store. `other_version` says that another version of this key has or had a
    result: this one may be of the past already. `answered_at`: when this version got its last result with an
    answer, in ISO 8601; "" if it has none. `finished`: the result of a picture that is done, and lacks
    something now.
    """

    missing: tuple[str, ...]
    kept: Answered
    replaced: Answered
    sequencer: str
    other_version: bool
    answered_at: str = ""
    finished: StoredItem | None = None


def plan(
    arrival: Arrival, stored: Stored | None, wanted: Sequence[str], bought: Answered = MappingProxyType({})
) -> Skip | Work:
    """Decide about a created object.

    wanted: the features that the pipeline is set to. bought: what was answered for this object already and
    could not be stored, because what is stored had changed.
    """
    work = _plan(arrival, stored, wanted)
    if isinstance(work, Skip):
        return work
    missing = tuple(feature for feature in work.missing if feature not in bought)
    return replace(work, missing=missing, kept={**bought, **work.kept})


def _plan(arrival: Arrival, stored: Stored | None, wanted: Sequence[str]) -> Skip | Work:
    if stored is None:
        return _all(arrival, wanted)
    if _is_same_object(stored, arrival):
        return _rest(arrival, stored, wanted)
    if arrival.by_hand:
        return _current(arrival, stored, wanted)
    if stored["sequencer"] > arrival.sequencer:
        return Skip(reason="removed" if stored["status"] == REMOVED else "a newer event is stored")
    return _all(arrival, wanted, other_version=True)


def _all(arrival: Arrival, wanted: Sequence[str], *, other_version: bool = False) -> Work:
    return Work(
        missing=tuple(wanted),
        kept={},
        replaced={},
        sequencer=arrival.sequencer,
        other_version=other_version,
    )


def _current(arrival: Arrival, stored: Stored, wanted: Sequence[str]) -> Work:
    """What is stored is of another object than the current one: that counts, whatever its event was.

    It comes just after what is stored in the order of events, and before every event to come.
    """
    just_after = stored["sequencer"] + "1"
    work = _all(arrival, wanted, other_version=True)
    return replace(work, sequencer=max(arrival.sequencer, just_after))


def _rest(arrival: Arrival, stored: StoredItem, wanted: Sequence[str]) -> Skip | Work:
    """The same object again: a duplicate, a retry, or a replay after more features were switched on."""
    newer = arrival.sequencer > stored["sequencer"]
    renewed: StoredItem | None = {**stored, "sequencer": arrival.sequencer} if newer else None
    if _refused(stored) and not arrival.by_hand:
        return Skip(reason="already refused", renewed=renewed)
    answers = answered(stored)
    replaced = {one: answers[one] for one in wanted if one in answers and _is_replaced(one, stored, arrival)}
    kept = {feature: answer for feature, answer in answers.items() if feature not in replaced}
    missing = tuple(feature for feature in wanted if feature not in kept)
    if stored["status"] == "done" and not missing:
        return Skip(reason="already done", renewed=renewed)
    return Work(
        missing=missing,
        kept=kept,
        replaced=replaced,
        # A replay made by hand may carry no sequencer.
        sequencer=max(arrival.sequencer, stored["sequencer"]),
        other_version=False,
        answered_at=stored["analyzedAt"] if answers else "",
        finished=stored if stored["status"] == "done" else None,
    )


def tries_left(arrival: Arrival, stored: Stored | None) -> int:
    """How many more tries of its event follow the one that is made just now, should it fail.

    Lambda does not tell which it is: what the tries before have stored counts them. A call by hand is none of
    them, and leaves as many as there were.
    """
    if stored is None or not _is_same_object(stored, arrival) or stored["status"] != "failed":
        return 0 if arrival.by_hand else TRIES - 1
    if arrival.by_hand:
        return stored["error"].get("triesLeft", 0)
    if stored["sequencer"] != arrival.sequencer:
        return TRIES - 1
    return max(stored["error"].get("triesLeft", TRIES - 1) - 1, 0)


def _is_replaced(feature: str, stored: StoredItem, arrival: Arrival) -> bool:
    """Whether an answer that is there is asked for again, since another model gives one now."""
    return arrival.again.get(feature) == stored.get("models", {}).get(feature, "")


def _refused(stored: StoredItem) -> bool:
    """Whether a failure is final. What was gone may show again, once what lay on it is removed."""
    error = stored["error"] if stored["status"] == "failed" else None
    return error is not None and not error["retryable"] and error["code"] != "gone"


def _is_same_object(stored: Stored, arrival: Arrival) -> TypeGuard[StoredItem]:
    if stored["status"] == REMOVED:
        return False
    if arrival.version_id in (None, "null") and not arrival.by_hand:
        # Without versions every overwrite is another object under the same name.
        return bool(stored["sequencer"] == arrival.sequencer)
    return is_of(stored, version_id=arrival.version_id, etag=arrival.etag)


def answered(stored: Mapping[str, Any]) -> dict[str, Findings | Unavailable]:
    """The features that a stored result has answers for."""
    answers: dict[str, Findings | Unavailable] = {}
    for feature in FEATURES:
        if feature in stored:
            answers[feature] = Findings(
                entries=stored[feature],
                model=stored.get("models", {}).get(feature),
                lost=stored.get("trimmed", {}).get(feature, 0),
                origin=stored.get("reusedFrom", {}).get(feature),
            )
        elif feature in stored.get("unavailable", {}):
            answers[feature] = Unavailable(**stored["unavailable"][feature])
    return answers


def tombstone(removal: Removal, stored: Stored | None) -> Tombstone | None:
    """What to put in place of the stored item, without its expiry; None when that is newer."""
    if stored is not None and stored["sequencer"] > removal.sequencer:
        return None
    return {"objectKey": removal.key, "status": REMOVED, "sequencer": removal.sequencer}
