"""Rekognition's list prices, and what analyses cost by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from imgpipe_cli.session.settings import FEATURES

# US dollars for each feature of 1,000 pictures, us-east-1 list price of the first million a month; the free
# tier of older accounts is not counted. Image properties have a meter of their own.
PER_1000: Mapping[str, float] = {**dict.fromkeys(FEATURES, 1.00), "properties": 0.75}
LIST_OF = "October 2026"


def dollars(analyses: Mapping[str, int]) -> float:
    """analyses: feature -> how many."""
    return sum(PER_1000[feature] * number for feature, number in analyses.items()) / 1000


def per_1000(features: Iterable[str]) -> float:
    """Dollars for 1,000 pictures with these features."""
    return dollars(dict.fromkeys(features, 1000))


def at_most(features: Iterable[str], analyses: int) -> float:
    """Dollars for so many analyses, each for the dearest of these features."""
    return max(PER_1000[feature] for feature in features) * analyses / 1000


def told(amount: float) -> str:
    """Such as $1.04 or $0.002: with tenths of a cent below a dollar, where there are some."""
    cents = round(amount * 1000) % 10 == 0 or amount >= 1
    return f"${amount:,.2f}" if cents else f"${amount:,.3f}"
