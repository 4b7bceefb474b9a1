"""What the user asked of the pipeline, and how it is stored with the pipeline itself.

The order flag, environment, `imgpipe.toml`, deployed, default is resolved here; flags and
environment arrive as one (the command line parser merges them), None meaning "not asked".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from imgpipe_cli.problems import ExitCode, Problem

# Feature -> Rekognition operation. Each asked feature is billed as one more picture.
FEATURES: Mapping[str, str] = {
    "labels": "DetectLabels",
    "moderation": "DetectModerationLabels",
    "faces": "DetectFaces",
    "text": "DetectText",
}
# US dollars for each feature of 1,000 pictures, us-east-1 list price of the first million a month
# (read 2026-10); the free tier of older accounts is not counted.
PRICE_PER_1000 = 1.00
_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """Stored as JSON in the settings parameter. min_confidence: percent, 0 to 100."""

    features: tuple[str, ...] = ("labels",)
    min_confidence: float = 70.0
    private: bool = False
    # The pipeline's first day (UTC): how far back a list of results has to look.
    first_day: str = ""

    def to_json(self) -> str:
        document = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({"version": _VERSION, **document}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Raises Problem("bad_settings") when the text is not one of ours."""
        try:
            document = json.loads(text)
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']}")
            return cls(
                features=parse_features(document["features"]),
                min_confidence=float(document["min_confidence"]),
                private=bool(document["private"]),
                first_day=str(document["first_day"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, Problem) as error:
            raise Problem(
                "bad_settings",
                f"The stored settings cannot be read ({error}).",
                hint="Was this pipeline set up by a newer imgpipe? Upgrade, or imgpipe down and up.",
            ) from error

    @property
    def price_per_1000(self) -> float:
        """US dollars that Rekognition lists for 1,000 pictures with these features."""
        return PRICE_PER_1000 * len(self.features)


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


def resolve(
    *,
    features: str | list[str] | None,
    min_confidence: float | None,
    private: bool | None,
    deployed: Settings | None,
    today: str,
) -> Settings:
    """What was asked wins over what is deployed, which wins over the defaults."""
    base = deployed or Settings(first_day=today)
    asked: dict[str, Any] = {"min_confidence": min_confidence, "private": private}
    if features is not None:
        asked["features"] = parse_features(features)
    kept = {field.name: getattr(base, field.name) for field in fields(base)}
    return Settings(**(kept | {name: value for name, value in asked.items() if value is not None}))
