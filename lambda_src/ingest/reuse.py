"""Whether a stored result may stand for an analysis of the same bytes. Pure: no AWS, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.analysis import Findings
from shared.results import LISTED, REMOVED

if TYPE_CHECKING:
    from shared.result_item import Origin, Stored


@dataclass(frozen=True, kw_only=True)
class Sought:
    """The answers that a picture needs.

    newest: feature -> the newest model seen, for those that have been. replaced: feature -> the model whose
    answer is not wanted any more, "" for one that names no model.
    """

    sha256: str
    features: tuple[str, ...]
    newest: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)


def answers(sought: Sought, stored: Stored | None) -> dict[str, Findings]:
    """The answers of a picture that may stand for those that are sought; feature by feature.

    The result decides, whatever the index says: it must be of the same bytes, with the feature, and by the
    newest model seen. Also one that failed has what was paid for.
    """
    if stored is None or stored["status"] == REMOVED or stored.get("sha256") != sought.sha256:
        return {}
    origin: Origin = {"objectKey": stored["objectKey"]}
    if "versionId" in stored:
        origin["versionId"] = stored["versionId"]
    found = {}
    for feature in sought.features:
        model = stored["models"].get(feature, "")
        is_newest = sought.newest.get(feature, model) == model
        if feature in stored and is_newest and sought.replaced.get(feature) != model:
            found[feature] = Findings(
                entries=stored[feature],  # type: ignore[literal-required]
                model=model or None,
                lost=stored.get("trimmed", {}).get(feature, 0) if feature in LISTED else 0,
                # Whose analysis it is, also where that result only has it from another one.
                origin=stored.get("reusedFrom", {}).get(feature, origin),
            )
    return found
