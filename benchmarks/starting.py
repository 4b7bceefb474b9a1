"""The CPU that the commands take that a user runs most, beside the least program that does the same."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import emulator
import result_answerer
import timed_process
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered, Target

_YARDSTICKS = Path(__file__).resolve().parent / "yardsticks"
# Modules that cost more than all the rest of a quick command together.
_HEAVY = ("boto3", "botocore", "rich")
_PASS_S = 0.015  # what `--version` may cost above an interpreter that does nothing


@dataclass(frozen=True)
class Comparison:
    """Seconds of CPU, user and system, of each run; the programs took turns, so both saw the same machine.

    bound_s: factor times the yardstick's median, and extra_s.
    """

    name: str
    yardstick: str
    factor: float
    extra_s: float
    cpu_s: tuple[float, ...]
    yardstick_cpu_s: tuple[float, ...]
    heavy: tuple[str, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.cpu_s) / statistics.median(self.yardstick_cpu_s)

    @property
    def bound_s(self) -> float:
        return self.factor * statistics.median(self.yardstick_cpu_s) + self.extra_s

    @property
    def kept(self) -> bool:
        return statistics.median(self.cpu_s) <= self.bound_s and not self.heavy


def compare(runs: int) -> list[Comparison]:
    program = str(Path(sys.executable).with_name("imgpipe"))
    nothing = (sys.executable, "-c", "pass")
    bare = (sys.executable, str(_YARDSTICKS / "bare_typer.py"), "--help")
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as home, result_answerer.answering() as url:
        _remember(Path(home), url)
        least = (sys.executable, str(_YARDSTICKS / "typer_http.py"), url, result_answerer.KEY)
        result = (program, "result", result_answerer.KEY)
        cases = (
            ("imgpipe --version", (program, "--version"), "python -c pass", nothing, 1.0, _PASS_S),
            ("imgpipe --help", (program, "--help"), "bare Typer program --help", bare, 1.15, 0.0),
            ("imgpipe result KEY --json", (*result, "--json"), "Typer + http.client, JSON", least, 1.8, 0.0),
            ("imgpipe result KEY", result, "Typer + http.client, JSON", least, 1.8, 0.0),
        )
        return [_compared(*case, home=Path(home), runs=runs) for case in cases]


def _compared(
    name: str,
    command: Sequence[str],
    yardstick: str,
    beside: Sequence[str],
    factor: float,
    extra_s: float,
    *,
    home: Path,
    runs: int,
) -> Comparison:
    environment = emulator.scrubbed() | {"HOME": str(home), "IMGPIPE_STATE_DIR": str(home)}
    pairs = []
    for number in range(runs + 1):
        own = timed_process.run(command, environment, home).cpu_s
        other = timed_process.run(beside, environment, home).cpu_s
        if number:  # the first pair only warms up
            pairs.append((own, other))
    return Comparison(
        name=name,
        yardstick=yardstick,
        factor=factor,
        extra_s=extra_s,
        cpu_s=tuple(own for own, _ in pairs),
        yardstick_cpu_s=tuple(other for _, other in pairs),
        heavy=_heavy_imports(command, environment, home),
    )


def _remember(home: Path, url: str) -> None:
    """What `up` leaves behind, so that `result` knows where to ask."""
    Targets(home).put(
        Remembered(
            target=Target("bench", region=emulator.REGION),
            account=emulator.ACCOUNT,
            region=emulator.REGION,
            endpoint=url,
            bucket="bench-uploads",
            api_url=url,
            token="none",
            private=False,
            min_confidence=70.0,
        )
    )


def _heavy_imports(command: Sequence[str], environment: dict[str, str], home: Path) -> tuple[str, ...]:
    """Which of the heavy modules the command loads, seen from inside in a run that is not timed."""
    told = home / "modules.json"
    program = (
        "import atexit, json, sys; from pathlib import Path; "
        f"atexit.register(lambda: Path({str(told)!r}).write_text(json.dumps(list(sys.modules)))); "
        f"sys.argv = {['imgpipe', *command[1:]]!r}; from imgpipe_cli.__main__ import main; main()"
    )
    timed_process.run((sys.executable, "-c", program), environment, home)
    loaded = set(json.loads(told.read_text()))
    return tuple(name for name in _HEAVY if name in loaded)
