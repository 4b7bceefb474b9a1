"""Whole runs of `imgpipe up`, `up` again and `down` against an emulator that is a network away."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import emulator
import timed_process
from call_chain import Chain
from imgpipe_cli.aws.names import Names
from latency_proxy import LatencyProxy
from recorded_calls import RecordedCall
from timed_process import Timed

LATENCY_S = 0.08
PROJECT = "bench"
# Wall time may be so many times what the chain of calls, the CPU and the emulator's waits add up to.
BOUND_RATIO = 1.5


@dataclass(frozen=True)
class Phase:
    """One command of a round. goal_s: of the median wall time. idle: it must send no write."""

    name: str
    arguments: tuple[str, ...]
    goal_s: float
    idle: bool = False
    removing: bool = False


PHASES = (
    Phase("imgpipe up, first", ("up",), 3.0),
    Phase("imgpipe up, nothing to change", ("up",), 1.5, idle=True),
    Phase("imgpipe down --yes", ("down", "--yes"), 2.5, removing=True),
)


@dataclass(frozen=True)
class Observed:
    """One run of one phase. Seconds."""

    time: Timed
    calls: tuple[RecordedCall, ...]
    chain: tuple[RecordedCall, ...]
    waits_s: float

    @property
    def writes(self) -> int:
        return sum(call.is_write for call in self.calls)

    @property
    def most_at_once(self) -> int:
        return max(
            sum(other.start_s <= call.start_s < other.end_s for other in self.calls) for call in self.calls
        )

    @property
    def bound_s(self) -> float:
        """What the run would take if nothing but the dependent calls, its CPU and the waits took time."""
        return len(self.chain) * LATENCY_S + self.time.cpu_s + self.waits_s

    @property
    def ratio(self) -> float:
        return self.time.wall_s / self.bound_s


@dataclass(frozen=True)
class Measured:
    """All runs of one phase."""

    phase: Phase
    runs: tuple[Observed, ...]

    def of(self, what: Callable[[Observed], float]) -> list[float]:
        return [what(run) for run in self.runs]

    def median(self, what: Callable[[Observed], float]) -> float:
        return statistics.median(self.of(what))

    @property
    def ratio(self) -> float:
        return self.median(lambda run: run.ratio)

    @property
    def kept(self) -> bool:
        """The binding bound, and that a run with nothing to change sends no write."""
        surplus = self.phase.idle and any(run.writes for run in self.runs)
        return self.ratio <= BOUND_RATIO and not surplus

    @property
    def reached(self) -> bool:
        return self.median(lambda run: run.time.wall_s) <= self.phase.goal_s


def measure(rounds: int, *, each: Callable[[Phase, Observed], None]) -> list[Measured]:
    """Rounds of up, up, down. A first round, not counted, warms up the emulator: it loads services late."""
    found: dict[str, list[Observed]] = {phase.name: [] for phase in PHASES}
    with (
        LatencyProxy(LATENCY_S) as proxy,
        emulator.running(proxy.port) as port,
        tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as home,
    ):
        proxy.upstream_port = port
        pending_s = emulator.function_pending_s(port)
        for number in range(rounds + 1):
            for phase in PHASES:
                observed = _run(phase, proxy, Path(home), pending_s)
                if number:
                    found[phase.name].append(observed)
                    each(phase, observed)
    return [Measured(phase, tuple(found[phase.name])) for phase in PHASES]


def _run(phase: Phase, proxy: LatencyProxy, home: Path, pending_s: float) -> Observed:
    program = str(Path(sys.executable).with_name("imgpipe"))
    environment = emulator.scrubbed() | {
        "HOME": str(home),
        "IMGPIPE_STATE_DIR": str(home),
        "IMGPIPE_PROJECT": PROJECT,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
        "AWS_DEFAULT_REGION": emulator.REGION,
        **emulator.CREDENTIALS,
    }
    time = timed_process.run((program, *phase.arguments), environment, home)
    calls = proxy.take()
    names = Names(PROJECT, emulator.ACCOUNT, emulator.REGION)
    chain = Chain(calls, names, removing=phase.removing).longest()
    return Observed(time, tuple(calls), tuple(chain), _waits_s(calls, pending_s))


def _waits_s(calls: Sequence[RecordedCall], pending_s: float) -> float:
    """How long the emulator itself makes everyone wait: a new function is Pending for a while (functions
    made side by side: counted once), and its first invocation starts a process."""
    made = any(call.service == "lambda" and call.operation.endswith("/functions") for call in calls)
    starts = [call.served_s for call in calls if call.service == "execute-api"]
    return (pending_s if made else 0.0) + max(starts, default=0.0)
