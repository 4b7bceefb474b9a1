"""What the trials have shown: a line now and then, and at the end a table and every failure."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.crash_matrix.faults import FAULTS
from tests.crash_matrix.scenarios import BY_NAME, SCENARIOS
from tests.crash_matrix.trial import Outcome

_PROGRESS_S = 20.0


@dataclass
class Report:
    """expected: how many outcomes there will be."""

    expected: int
    outcomes: list[Outcome] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Keep it; tell of each failure, and now and then how far it is."""
        self.outcomes.append(outcome)
        so_far = f"{len(self.outcomes)} of {self.expected}"
        if not outcome.survived:
            print(f"{so_far}: FAILED {outcome.point}: {outcome.wrong[0][:300]}", flush=True)
        elif time.monotonic() - self._told > _PROGRESS_S:
            self._told = time.monotonic()
            print(so_far, flush=True)

    @property
    def good(self) -> bool:
        """Whether something was tried, everything that was tried was survived, and nothing was left out: with
        one worker every request comes. A repeated one (#2, ...) may be saved: reads that run side by side
        share an answer that is already on its way."""
        left_out = [
            v
            for v in self.outcomes
            if not v.hit and BY_NAME[v.point.scenario].workers == 1 and "#" not in v.point.request
        ]
        return bool(self._tried) and not left_out and all(outcome.survived for outcome in self.outcomes)

    @property
    def _tried(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.hit]

    def text(self) -> str:
        """Survived / tried by scenario and fault, what failed and how to repeat it, and the figure."""
        survived = sum(outcome.survived for outcome in self._tried)
        minutes = (time.monotonic() - self._began) / 60
        return "\n".join(
            [
                _table(self._tried),
                *(_failure(outcome) for outcome in self.outcomes if not outcome.survived),
                *(f"not tried, the request did not come: {v.point}" for v in self.outcomes if not v.hit),
                f"survived {survived} of {len(self._tried)} tried, in {minutes:.1f} minutes",
            ]
        )


def _table(tried: list[Outcome]) -> str:
    names = [scenario.name for scenario in SCENARIOS]
    total = Counter((outcome.point.scenario, str(outcome.point.fault)) for outcome in tried)
    good = Counter(
        (outcome.point.scenario, str(outcome.point.fault)) for outcome in tried if outcome.survived
    )
    rows = [["survived / tried", *names, "all"]]
    for fault in map(str, FAULTS):
        pairs = [(good[name, fault], total[name, fault]) for name in names]
        pairs.append((sum(first for first, _ in pairs), sum(second for _, second in pairs)))
        rows.append([fault, *(f"{first} / {second}" for first, second in pairs)])
    return "\n".join(f"{row[0]:18}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows)


def _failure(outcome: Outcome) -> str:
    wrong = "\n".join(f"  - {one}" for one in outcome.wrong)
    told = "\n".join(f"    {line}" for line in outcome.told.splitlines())
    repeat = f"  repeat: python -m tests.crash_matrix --only {shlex.quote(str(outcome.point))}"
    return f"\nFAILED {outcome.point}\n{wrong}\n{repeat}\n{told}\n"
