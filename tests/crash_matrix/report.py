"""What the trials have shown: a line now and then, and at the end a table and every failure."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.crash_matrix.faults import FAULTS
from tests.crash_matrix.scenarios import BY_NAME, SCENARIOS
from tests.crash_matrix.trial import Verdict

_PROGRESS_S = 20.0


@dataclass
class Report:
    """expected: how many verdicts there will be."""

    expected: int
    verdicts: list[Verdict] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def add(self, verdict: Verdict) -> None:
        """Keep it; tell of each failure, and now and then how far it is."""
        self.verdicts.append(verdict)
        so_far = f"{len(self.verdicts)} of {self.expected}"
        if not verdict.survived:
            print(f"{so_far}: FAILED {verdict.point}: {verdict.wrong[0][:300]}", flush=True)
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
            for v in self.verdicts
            if not v.hit and BY_NAME[v.point.scenario].workers == 1 and "#" not in v.point.request
        ]
        return bool(self._tried) and not left_out and all(verdict.survived for verdict in self.verdicts)

    @property
    def _tried(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.hit]

    def text(self) -> str:
        """Survived / tried by scenario and fault, what failed and how to repeat it, and the figure."""
        survived = sum(verdict.survived for verdict in self._tried)
        minutes = (time.monotonic() - self._began) / 60
        return "\n".join(
            [
                _table(self._tried),
                *(_failure(verdict) for verdict in self.verdicts if not verdict.survived),
                *(f"not tried, the request did not come: {v.point}" for v in self.verdicts if not v.hit),
                f"survived {survived} of {len(self._tried)} tried, in {minutes:.1f} minutes",
            ]
        )


def _table(tried: list[Verdict]) -> str:
    names = [scenario.name for scenario in SCENARIOS]
    total = Counter((verdict.point.scenario, str(verdict.point.fault)) for verdict in tried)
    good = Counter(
        (verdict.point.scenario, str(verdict.point.fault)) for verdict in tried if verdict.survived
    )
    rows = [["survived / tried", *names, "all"]]
    for fault in map(str, FAULTS):
        pairs = [(good[name, fault], total[name, fault]) for name in names]
        pairs.append((sum(first for first, _ in pairs), sum(second for _, second in pairs)))
        rows.append([fault, *(f"{first} / {second}" for first, second in pairs)])
    return "\n".join(f"{row[0]:18}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows)


def _failure(verdict: Verdict) -> str:
    wrong = "\n".join(f"  - {one}" for one in verdict.wrong)
    told = "\n".join(f"    {line}" for line in verdict.told.splitlines())
    repeat = f"  repeat: python -m tests.crash_matrix --only {shlex.quote(str(verdict.point))}"
    return f"\nFAILED {verdict.point}\n{wrong}\n{repeat}\n{told}\n"
