"""How long the commands take that a user runs most, beside the least program that does the same."""

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
from imgpipe_cli.session.target import Remembered, Target, Targets

_YARDSTICKS = Path(__file__).resolve().parent / "yardsticks"
# Modules that cost more than all the rest of a quick command together.
_HEAVY = ("boto3", "botocore")


@dataclass(frozen=True)
class Comparison:
    """Seconds of each run; the programs took turns, so a pair saw the same machine."""

    name: str
    yardstick: str
    limit: float | None
    walls_s: tuple[float, ...]
    yardstick_walls_s: tuple[float, ...]
    ratios: tuple[float, ...]
    heavy: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def kept(self) -> bool:
        return (self.limit is None or self.ratio <= self.limit) and not self.heavy


def compare(runs: int) -> list[Comparison]:
    program = str(Path(sys.executable).with_name("imgpipe"))
    bare = (sys.executable, str(_YARDSTICKS / "bare_typer.py"), "--help")
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as home, result_answerer.answering() as url:
        _remember(Path(home), url)
        least = (sys.executable, str(_YARDSTICKS / "typer_http.py"), url, result_answerer.KEY)
        result = (program, "result", result_answerer.KEY)
        cases = (
            ("imgpipe --help", (program, "--help"), "bare Typer program --help", bare, 1.5),
            ("imgpipe result KEY --json", (*result, "--json"), "Typer + http.client, JSON", least, 2.0),
            ("imgpipe result KEY", result, "Typer + http.client, JSON", least, 2.0),
        )
        return [
            _compared(name, command, yardstick, beside, limit, Path(home), runs)
            for name, command, yardstick, beside, limit in cases
        ]


def _compared(
    name: str,
    command: Sequence[str],
    yardstick: str,
    beside: Sequence[str],
    limit: float,
    home: Path,
    runs: int,
) -> Comparison:
    environment = emulator.scrubbed() | {"HOME": str(home), "IMGPIPE_STATE_DIR": str(home)}
    pairs = []
    for number in range(runs + 1):
        own = timed_process.run(command, environment, home).wall_s
        other = timed_process.run(beside, environment, home).wall_s
        if number:  # the first pair only warms up
            pairs.append((own, other))
    return Comparison(
        name=name,
        yardstick=yardstick,
        limit=limit,
        walls_s=tuple(own for own, _ in pairs),
        yardstick_walls_s=tuple(other for _, other in pairs),
        ratios=tuple(own / other for own, other in pairs),
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
