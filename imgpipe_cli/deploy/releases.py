"""Which imgpipe set a pipeline up, and what an older one would take back.

Two machines may have different versions of imgpipe. Code that a newer one deployed is replaced by an older
one only when somebody has agreed.
"""

from __future__ import annotations

import re

import imgpipe_cli
from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.lambdas import package
from imgpipe_cli.session.settings import Settings


def own() -> str:
    """The version of this imgpipe."""
    return imgpipe_cli.__version__


def is_newer(one: str, other: str) -> bool:
    """Whether `one` is the later release; a text that is no version is never."""
    return _release(one) > _release(other)


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9})*(?![0-9])", version)
    parts = [int(part) for part in numbers[0].split(".")] if numbers else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def newest(settings: Settings) -> str:
    """The version to store: that of whoever deployed the code, or this one if it is no older."""
    return settings.imgpipe if is_newer(settings.imgpipe, own()) else own()


def taken_back(known: Settings | None, snapshot: Snapshot) -> list[str]:
    """The functions whose newer code this older imgpipe would replace."""
    if known is None or not is_newer(known.imgpipe, own()):
        return []
    there = {name: snapshot[f"function.{name}"] for name in FUNCTIONS if f"function.{name}" in snapshot}
    return [
        name
        for name, observed in there.items()
        if observed.exists and observed.owned and observed.facts["sha256"] != package.code_sha256(name)
    ]
