"""One program from start to exit: wall time, and the CPU time that the system booked for it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timed:
    """Seconds. started_s and ended_s: on the clock of the recorded calls."""

    started_s: float
    ended_s: float
    cpu_s: float

    @property
    def wall_s(self) -> float:
        return self.ended_s - self.started_s


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Timed:
    """Run it to its end. Raises RuntimeError, with what it wrote, when it fails."""
    with tempfile.TemporaryFile() as written:
        started_s = time.monotonic()
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
        _, status, usage = os.wait4(process.pid, 0)
        ended_s = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            written.seek(0)
            told = written.read().decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
    return Timed(started_s, ended_s, usage.ru_utime + usage.ru_stime)
