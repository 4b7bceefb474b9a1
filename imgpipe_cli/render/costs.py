"""What `cost` shows of a month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imgpipe_cli.render.columns import Column, Columns
from imgpipe_cli.render.styled import Text
from imgpipe_cli.render.text import count, safe
from imgpipe_cli.session import prices
from imgpipe_cli.session.settings import FEATURES

if TYPE_CHECKING:
    from imgpipe_cli.pictures.api import Usage
    from imgpipe_cli.render.screen import Screen


def at_most(asked: Mapping[str, int], copies: int, *, local: bool) -> str:
    """Before analyses: how many there may be and what they cost; "" for none.

    asked: feature -> how many. copies: pictures among them with the bytes of others, which are not counted.
    """
    if not asked:
        return ""
    dollars = prices.told(prices.dollars(asked))
    price = "" if local else f", about {dollars} by its list price of {prices.LIST_OF}"
    each = ", ".join(f"{feature} {number:,}" for feature, number in asked.items())
    told = f"Rekognition is asked at most {count(sum(asked.values()), 'time')}{price}: {each}."
    return (
        f"{told} imgpipe pays nothing for {count(copies, 'copy', 'copies')} among them." if copies else told
    )


def left(usage: Usage) -> str:
    """What the month's limit leaves. There is one."""
    return f"The monthly limit of {count(usage.limit or 0, 'analysis', 'analyses')} leaves {usage.left:,}."


def document(usage: Usage, *, local: bool) -> dict[str, Any]:
    """The data of `--json`. local: nothing is billed, so dollars and their list are null."""
    return {
        "month": usage.month,
        "pictures": usage.pictures,
        "analyses": usage.analyses,
        "features": [
            {
                "feature": feature,
                "analyses": usage.analyzed.get(feature, 0),
                "reused": usage.reused.get(feature, 0),
                "dollars": None if local else round(_dollars(usage, feature), 5),
            }
            for feature in _features(usage)
        ],
        "dollars": None if local else round(prices.dollars(usage.analyzed), 5),
        "pricesOf": None if local else prices.LIST_OF,
        "limit": usage.limit,
        "left": usage.left,
    }


def show(screen: Screen, usage: Usage, *, local: bool) -> None:
    if _features(usage):
        screen.show(_table(usage, local=local))
    parts = [count(usage.pictures, "picture"), count(usage.analyses, "analysis", "analyses")]
    if not local:
        parts.append(f"about {prices.told(prices.dollars(usage.analyzed))}")
    screen.line(f"{safe(usage.month)}: {', '.join(parts)}.")
    if usage.limit is not None:
        screen.line(left(usage))
    if not local:
        screen.line(
            f"Prices are Rekognition's list of {prices.LIST_OF} for the first million analyses of a month, "
            "us-east-1, without any free tier."
        )


def _table(usage: Usage, *, local: bool) -> Columns:
    heads = ["Analyses", "Reused", *([] if local else ["Dollars"])]
    drawn = Columns(Column("Feature", whole=True), *(Column(one, whole=True, right=True) for one in heads))
    for feature in _features(usage):
        numbers = [f"{usage.analyzed.get(feature, 0):,}", f"{usage.reused.get(feature, 0):,}"]
        paid = [] if local else [prices.told(_dollars(usage, feature))]
        drawn.add_row(*map(Text, (feature, *numbers, *paid)))
    return drawn


def _features(usage: Usage) -> list[str]:
    """Those that were analyzed or reused, in their order; a newer pipeline may have others."""
    there = usage.analyzed.keys() | usage.reused.keys()
    return [feature for feature in FEATURES if feature in there]


def _dollars(usage: Usage, feature: str) -> float:
    return prices.dollars({feature: usage.analyzed.get(feature, 0)})
