"""What the user asked of the pipeline, and how it is stored with the pipeline itself.

The order flag, environment, `imgpipe.toml`, deployed, default is resolved here; flags and
environment arrive as one (the command line parser merges them), None meaning "not asked".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session import json_values

# Feature -> Rekognition operation. Each asked feature is billed as one more picture.
FEATURES: Mapping[str, str] = {
    "labels": "DetectLabels",
    "moderation": "DetectModerationLabels",
    "faces": "DetectFaces",
    "text": "DetectText",
    "properties": "DetectLabels",
}
# Where the results are kept: the DynamoDB table, or JSON objects in a bucket of their own.
STORES = ("table", "s3")
# How far a move of the results from one store to the other is; "" when none is under way.
#   copy    the functions still use `results`; the other store is being filled
#   switch  the functions use `results`; what came late is copied from the other store, the old one
#   close   nobody may use the old store any more; it goes after a last look
MOVES = ("", "copy", "switch", "close")
# Who told how many calls a second Rekognition answers; "": nobody was asked.
TPS_FROM = ("", "flag", "quota")
TPS_MAX = 100_000.0
LIMIT_MAX = 1_000_000_000
# A run of the ingest function takes so long on AWS in the median, when Rekognition answers at once.
_RUN_S = 0.6
# More runs than Rekognition keeps busy, so that a slow one leaves no gap.
_SPARE = 1.2
_FEWEST_RUNS = 2
# Where Rekognition's limit is not known: right for 5 calls a second, and two thirds of 50 are used.
_USUAL_RUNS = 20
_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """Stored as JSON in the settings parameter. min_confidence: percent, 0 to 100."""

    features: tuple[str, ...] = ("labels",)
    min_confidence: float = 70.0
    private: bool = False
    # The pipeline's first day (UTC): how far back a list of results has to look.
    first_day: str = ""
    # The store that the functions read and write.
    results: str = "table"
    move: str = ""
    # Whether the roles' trust policies name the account; False where Lambda could not take the roles so.
    source_account: bool = True
    # Calls a second that Rekognition answers for the slowest of the features; 0: not known.
    rekognition_tps: float = 0.0
    tps_from: str = ""
    # False once AWS has refused to reserve concurrency for the ingest function.
    capped: bool = True
    # The most analyses in a month; 0: as many as there are.
    monthly_limit: int = 0
    # The version of imgpipe whose code the functions run; "" where that was not kept yet.
    imgpipe: str = ""
    # Whether the index of failed results holds all of them. Not stored: the function web tells.
    failed_index: bool = True
    # What another version keeps here and this one does not know: it stays as it is.
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_json(self) -> str:
        document = {name: getattr(self, name) for name in _stored_names()}
        if not self.imgpipe:
            del document["imgpipe"]
        # One text for one meaning: 55 from a file and 55.0 from an option are the same.
        document["min_confidence"] = float(self.min_confidence)
        document["rekognition_tps"] = float(self.rekognition_tps)
        return json.dumps({**self.unknown, "version": _VERSION, **document}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, parameter: str = "") -> Settings:
        """Raises Problem("bad_settings") when the text, of this parameter, is not one of ours."""
        try:
            found = json_values.document(text, _VERSION)
            read = partial(json_values.read, found)
            return cls(
                features=read("features", _features),
                min_confidence=read("min_confidence", partial(json_values.number, 100)),
                private=read("private", json_values.flag),
                first_day=read("first_day", json_values.day),
                # Settings of a pipeline from before there was a choice.
                results=read("results", partial(json_values.one_of, STORES), "table"),
                move=read("move", partial(json_values.one_of, MOVES), ""),
                source_account=read("source_account", json_values.flag, True),
                # Settings of a pipeline from before there was a cap.
                rekognition_tps=read("rekognition_tps", partial(json_values.number, TPS_MAX), 0.0),
                tps_from=read("tps_from", partial(json_values.one_of, TPS_FROM), ""),
                capped=read("capped", json_values.flag, True),
                monthly_limit=read("monthly_limit", partial(json_values.whole_number, LIMIT_MAX), 0),
                imgpipe=read("imgpipe", json_values.text, ""),
                unknown={name: value for name, value in found.items() if name not in _known_names()},
            )
        except (ValueError, RecursionError) as error:
            raise Problem(
                "bad_settings",
                f"The settings stored in the parameter {parameter} cannot be read: {error}.",
                hint="Upgrade, if a newer imgpipe set this pipeline up. Else remove them: aws ssm "
                f"delete-parameter --name {parameter}; imgpipe up then takes them from the functions.",
            ) from error

    @property
    def other_store(self) -> str:
        return _other(self.results)

    @property
    def stores(self) -> tuple[str, ...]:
        """The stores that must be there."""
        return STORES if self.move else (self.results,)

    @property
    def open_stores(self) -> tuple[str, ...]:
        """The stores that the functions may use."""
        return STORES if self.move in ("copy", "switch") else (self.results,)

    @property
    def destination(self) -> str:
        """The store that the results are in once nothing is on the move any more."""
        return self.other_store if self.move == "copy" else self.results

    @property
    def at_rest(self) -> Settings:
        """The same once nothing is on the move any more."""
        return replace(self, results=self.destination, move="")

    @property
    def runs(self) -> int:
        """How many runs of the ingest function at once use Rekognition's limit and wait no longer than they
        may."""
        if not self.rekognition_tps:
            return _USUAL_RUNS
        return max(_FEWEST_RUNS, math.ceil(_SPARE * self.rekognition_tps * _RUN_S))

    @property
    def cap(self) -> int | None:
        """The concurrency reserved for the ingest function; None where AWS refused it."""
        return self.runs if self.capped else None

    @property
    def operations(self) -> frozenset[str]:
        """Rekognition's operations that these features ask for; each has a limit of its own."""
        return frozenset(FEATURES[feature] for feature in self.features)


def parse_features(value: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """`labels,faces` or a list -> the known features in their fixed order, without repeats."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    asked = [part.strip().lower() for part in parts if part.strip()]
    unknown = [part for part in asked if part not in FEATURES]
    if unknown or not asked:
        what = f"There is no feature {', '.join(map(repr, unknown))}" if unknown else "No feature is named"
        raise Problem(
            "bad_features",
            f"{what}.",
            hint=f"Choose from {', '.join(FEATURES)}, for example --features labels,faces.",
            exit_code=ExitCode.USAGE,
        )
    return tuple(feature for feature in FEATURES if feature in asked)


def _other(store: str) -> str:
    return STORES[1 - STORES.index(store)]


def _known_names() -> set[str]:
    return {"version", *_stored_names()}


def _stored_names() -> list[str]:
    return [one.name for one in fields(Settings) if one.name not in ("failed_index", "unknown")]


def _features(value: Any) -> tuple[str, ...]:
    try:
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return parse_features(value)
    except Problem:  # its hint is about the option
        pass
    raise ValueError(f"not a list with some of {', '.join(FEATURES)}")


def parse_store(value: str) -> str:
    """`table` or `s3`; raises a usage Problem for anything else."""
    store = value.strip().lower()
    if store not in STORES:
        raise Problem(
            "bad_results",
            f"Results cannot be kept in {value!r}.",
            hint=f"Choose --results {' or --results '.join(STORES)}.",
            exit_code=ExitCode.USAGE,
        )
    return store


def moved_to(store: str, settings: Settings) -> Settings:
    """The settings with which a move to that store begins, goes on or turns round.

    Nothing is lost in a turn: copying keeps the newer of two results, whichever way it goes.
    """
    if store == settings.destination:
        return settings
    if settings.move == "copy":  # the functions never left the store that is asked for
        return replace(settings, move="switch")
    return replace(settings, move="copy")


def resolve(
    *,
    features: str | list[str] | None,
    min_confidence: float | None,
    private: bool | None,
    results: str | None = None,
    rekognition_tps: float | None = None,
    monthly_limit: int | None = None,
    source_account: bool | None = None,
    deployed: Settings | None,
    today: str,
) -> Settings:
    """What was asked wins over what is deployed, which wins over the defaults."""
    store = None if results is None else parse_store(results)
    base = deployed or Settings(first_day=today, results=store or "table")
    asked: dict[str, Any] = {
        "min_confidence": min_confidence,
        "private": private,
        "monthly_limit": monthly_limit,
        "source_account": source_account,
    }
    if features is not None:
        asked["features"] = parse_features(features)
    settings = replace(base, **{name: value for name, value in asked.items() if value is not None})
    settings = with_tps(rekognition_tps, settings, base)
    return settings if store is None else moved_to(store, settings)


def of_cap(reserved: int | None) -> dict[str, Any]:
    """The settings behind the concurrency that a function has, where nothing else tells them."""
    if reserved is None:
        return {"capped": False}
    if reserved in (0, _USUAL_RUNS):  # 0: throttled by hand
        return {}
    return {"rekognition_tps": (reserved - 0.5) / (_SPARE * _RUN_S), "tps_from": "flag"}


def with_tps(tps: float | None, settings: Settings, before: Settings) -> Settings:
    """The settings with what was asked for; another number is also another try to reserve concurrency.

    What Service Quotas said is forgotten with other operations, whose quotas are others.
    """
    if tps is not None:
        capped = settings.capped or tps != before.rekognition_tps
        return replace(settings, rekognition_tps=tps, tps_from="flag", capped=capped)
    if settings.tps_from == "quota" and settings.operations != before.operations:
        return replace(settings, rekognition_tps=0.0, tps_from="")
    return settings
