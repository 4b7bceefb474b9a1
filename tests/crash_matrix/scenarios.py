"""The commands that are disturbed, and every point at which they are: request x fault x what follows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.crash_matrix.faults import FAULTS, Fault

REGION = "eu-west-1"  # where S3 refuses to make a bucket twice
UP = ("up", "--yes")
DOWN = ("down", "--yes")
_OTHER = (*UP, "--features", "labels,text", "--private", "--min-confidence", "55")


@dataclass(frozen=True)
class Scenario:
    """One command line. begins: one of BEGINNINGS. workers: one alone sends writes in a fixed order."""

    name: str
    command: tuple[str, ...]
    begins: str
    workers: int = 1
    region: str = REGION

    @property
    def is_down(self) -> bool:
        return self.command == DOWN

    @property
    def goal(self) -> str:
        """The scenario of one worker that leaves the same in the account."""
        return self.name.removesuffix("-16")

    @property
    def followers(self) -> tuple[str, ...]:
        """What comes next: the same again; the same on another machine; the opposite; and after a change `up`
        without the options that were asked for, which the settings must still know."""
        opposite = "up" if self.is_down else "down"
        return ("again", "elsewhere", opposite, *(["plain"] if self.command == _OTHER else []))


SCENARIOS = (
    Scenario("up", UP, "empty"),
    Scenario("up-16", UP, "empty", workers=16),
    # Who makes his bucket again is forgiven there, and the place of a bucket must not be named.
    Scenario("up-us", UP, "empty", region="us-east-1"),
    Scenario("change", _OTHER, "set up"),
    Scenario("move", (*UP, "--results", "s3"), "set up"),
    Scenario("down", DOWN, "set up"),
    Scenario("down-16", DOWN, "set up", workers=16),
)
# Set up: with pictures in the bucket, an upload that never ended, and results.
BEGINNINGS = ("empty", "set up")
BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(frozen=True)
class Point:
    """One trial: `request` of the scenario's command meets the fault, then `then` follows."""

    scenario: str
    request: str
    fault: Fault
    then: str

    def __str__(self) -> str:
        return f"{self.scenario}|{self.request}|{self.fault}|{self.then}"

    @property
    def goal(self) -> str:
        """The scenario that leaves in the account what is to be found there in the end."""
        return self.then if self.then in ("up", "down") else BY_NAME[self.scenario].goal


def point(text: str) -> Point:
    """The reverse of str(point). Raises ValueError."""
    scenario, request, named, then = text.split("|")
    fault = next((fault for fault in FAULTS if str(fault) == named), None)
    if scenario not in BY_NAME or fault is None or then not in BY_NAME[scenario].followers:
        raise ValueError(f"no such point: {text}")
    return Point(scenario, request, fault, then)


def all_points(requests: Mapping[str, Sequence[str]]) -> Iterator[Point]:
    """Every point there is. requests: by scenario, the requests of an undisturbed run."""
    for scenario in SCENARIOS:
        for request in requests[scenario.name]:
            for fault in FAULTS:
                for then in scenario.followers:
                    yield Point(scenario.name, request, fault, then)


def chosen(points: Iterable[Point], count: int) -> list[Point]:
    """That many of them, the same ones each time: every request once, before any comes twice."""
    turns: dict[tuple[str, str], list[tuple[str, Point]]] = {}
    for one in points:
        turns.setdefault((one.scenario, one.request), []).append((_shuffled(one), one))
    ranked = [
        (turn, key, one) for of in turns.values() for turn, (key, one) in enumerate(sorted(of, key=_first))
    ]
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def _shuffled(one: Point) -> str:
    return hashlib.sha256(str(one).encode()).hexdigest()


def _first(entry: tuple[str, Point]) -> str:
    return entry[0]
