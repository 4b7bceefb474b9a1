"""`python -m tests.crash_matrix`: break requests of `up` and `down`, one at a time, and see what is left.

A fork of this process is a copy of the account in it, so every trial begins in an account as it should, and
may do with it what it likes. Needs fork and SIGKILL: Linux or macOS.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.crash_matrix.copies import in_a_copy, in_copies
from tests.crash_matrix.report import Report
from tests.crash_matrix.scenarios import BEGINNINGS, BY_NAME, SCENARIOS, Point, all_points, chosen, point
from tests.crash_matrix.trial import Outcome, Trial, Undisturbed, holdings, set_up, undisturbed
from tests.support.faster_emulation import MOTO, SDK, replace


def main() -> int:
    """0 if every point that was tried was survived, else 1. Ctrl-C: the report of those tried so far."""
    asked = _arguments()
    for name, replacement in (*SDK, *MOTO):
        replace(name, replacement)
    holdings()  # loads the account's code and makes the clients, once for all copies
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        needed = set(BY_NAME)
        if asked.only:
            needed = {goal for one in asked.only for goal in (one.goal, BY_NAME[one.scenario].goal)}
            needed |= {"up"}  # what holds where a change was not written down
        calm = in_a_copy(partial(_calm, state, needed))
        points = asked.only or _points(asked.points, calm)
        print(f"{len(points)} points, {asked.jobs} at once", flush=True)
        report = Report(len(points))
        with suppress(KeyboardInterrupt):
            for outcome in _tried(points, calm, Path(folder) / "set-up", asked.jobs):
                report.add(outcome)
    print(report.text())
    return 0 if report.good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash_matrix", description=__doc__)
    parser.add_argument(
        "--points",
        type=_count,
        default="each",
        metavar="N|each|all",
        help="how many, the same ones each time; each (the default): every request once; all: hours",
    )
    parser.add_argument(
        "--only", action="append", type=point, metavar="POINT", help="only this one; repeatable"
    )
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="trials at once")
    return parser.parse_args()


def _count(text: str) -> str:
    if text not in ("each", "all") and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is neither a number nor each nor all")
    return text


def _calm(state: Path, needed: Container[str]) -> dict[str, Undisturbed]:
    """Each of these scenarios once, in a copy of its own, with nothing going wrong."""
    found = {}
    for begins in BEGINNINGS:
        scenarios = [one for one in SCENARIOS if one.begins == begins and one.name in needed]
        before = _prepared(begins, state) if scenarios else None
        for scenario in scenarios:
            found[scenario.name] = in_a_copy(partial(undisturbed, scenario, before))
    return found


def _prepared(begins: str, state: Path) -> Path | None:
    """Make the account of this process one in which such scenarios begin; what their user remembers."""
    if begins == "empty":
        return None
    set_up(state)
    return state


def _points(count: str, calm: Mapping[str, Undisturbed]) -> list[Point]:
    every = list(all_points({name: run.requests for name, run in calm.items()}))
    words = {"each": sum(len(run.requests) for run in calm.values()), "all": len(every)}
    return chosen(every, words[count] if count in words else int(count))


def _tried(
    points: Sequence[Point], calm: Mapping[str, Undisturbed], state: Path, jobs: int
) -> Iterator[Outcome]:
    """First the trials that begin in an empty account, then those in one that is set up."""
    ends = {name: run.holds for name, run in calm.items()}
    for begins in BEGINNINGS:
        here = [one for one in points if BY_NAME[one.scenario].begins == begins]
        before = _prepared(begins, state) if here else None
        yield from in_copies((Trial(one, ends, before).run for one in here), jobs=jobs)


if __name__ == "__main__":
    sys.exit(main())
