"""The speed of `imgpipe upload` beside s5cmd and `aws s3 sync`: whole processes, a sink on this machine."""

from __future__ import annotations

import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import timed_process
import upload_peers
from imgpipe_cli.aws.names import Names
from tests.crash_matrix import certificates

_PICTURE = Path(__file__).resolve().parents[1] / "examples" / "cat.jpg"
_BUCKET = Names("bench", "123456789012", "eu-west-1").bucket
_OWN = "imgpipe upload"


@dataclass(frozen=True)
class Case:
    """goals: of each peer, how many times as fast imgpipe has to be."""

    name: str
    files: int
    size_bytes: int
    latency_ms: int
    tls: bool
    goals: dict[str, float]


CASES = (
    Case("TLS + 40 ms, 1,000 x 100 kB", 1000, 100_000, 40, True, {"s5cmd": 1.3, "aws s3 sync": 8.0}),
    Case("plain, 10,000 x 100 kB", 10_000, 100_000, 0, False, {"s5cmd": 1.0, "aws s3 sync": 7.0}),
    Case("plain, 200 x 2 MB", 200, 2_000_000, 0, False, {"s5cmd": 1.0}),
)


@dataclass(frozen=True)
class Uploaded:
    """Seconds of each program's runs; the programs took turns."""

    case: Case
    wall_s: dict[str, list[float]]
    cpu_s: dict[str, list[float]]
    start_s: float
    start_cpu_s: float

    def times_as_fast(self, peer: str) -> float:
        return statistics.median(self.wall_s[peer]) / statistics.median(self.wall_s[_OWN])

    @property
    def cpu_ms_per_file(self) -> float:
        """Above that of a run that sends one."""
        return (statistics.median(self.cpu_s[_OWN]) - self.start_cpu_s) * 1000 / self.case.files

    @property
    def missed(self) -> list[str]:
        return [peer for peer, goal in self.case.goals.items() if self.times_as_fast(peer) < goal]


def measure(rounds: int, cases: tuple[Case, ...] = CASES) -> Iterator[Uploaded]:
    upload_peers.install()
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as home:
            yield _measured(case, Path(home), rounds)


def _measured(case: Case, home: Path, rounds: int) -> Uploaded:
    folder, one = home / "pics", home / "one"
    _pictures(folder, case)
    _pictures(one, Case("", 1, case.size_bytes, 0, False, {}))
    certificate = certificates.make(home) if case.tls else None
    wall: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    start: list[timed_process.Timed] = []
    with _sink(case.latency_ms, certificate) as url:
        environment = _environment(home, url, certificate)
        own = (
            str(Path(sys.executable).with_name("imgpipe")),
            "upload",
            "--project",
            "bench",
            "--quiet",
            "--yes",
        )
        for _ in range(rounds):
            start.append(timed_process.run((*own, str(one)), environment, home))
            commands = {_OWN: (*own, str(folder)), **upload_peers.commands(folder, _BUCKET, url)}
            for name, command in commands.items():
                before = _puts(url, certificate)
                run = timed_process.run(command, environment, home)
                if _puts(url, certificate) - before != case.files:
                    raise RuntimeError(f"{name} did not send {case.files} files")
                wall.setdefault(name, []).append(run.wall_s)
                cpu.setdefault(name, []).append(run.cpu_s)
    return Uploaded(
        case,
        wall,
        cpu,
        statistics.median(run.wall_s for run in start),
        statistics.median(run.cpu_s for run in start),
    )


def _pictures(folder: Path, case: Case) -> None:
    """Each with bytes of its own, as pictures have."""
    folder.mkdir()
    head = _PICTURE.read_bytes()
    for number in range(case.files):
        filler = os.urandom(max(0, case.size_bytes - len(head)))
        (folder / f"{number:06}.jpg").write_bytes(head + filler)


def _environment(home: Path, url: str, certificate: Path | None) -> dict[str, str]:
    found = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "IMGPIPE_STATE_DIR": str(home / "state"),
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if certificate is not None:
        found |= {"AWS_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)}
    return found


@contextmanager
def _sink(latency_ms: int, certificate: Path | None) -> Iterator[str]:
    script = str(Path(__file__).with_name("upload_sink.py"))
    command = [sys.executable, script, str(latency_ms), *([str(certificate)] if certificate else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            yield started.stdout.readline().strip()
        finally:
            started.kill()


def _puts(url: str, certificate: Path | None) -> int:
    context = ssl.create_default_context(cafile=str(certificate)) if certificate else None
    with urllib.request.urlopen(f"{url}/counts", context=context) as answer:
        counts = json.load(answer)
    if counts.get("broken"):
        raise RuntimeError("a picture arrived with another SHA-256")
    return int(counts.get("PUT", 0))


def table(measured: list[Uploaded]) -> str:
    rows = [
        "| upload | imgpipe files/s | s5cmd | aws s3 sync | x s5cmd (goal) | x sync (goal) | CPU ms a file "
        "| start-up s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        rates = {name: one.case.files / statistics.median(runs) for name, runs in one.wall_s.items()}
        goals = [_goal(one, peer) for peer in ("s5cmd", "aws s3 sync")]
        cells = (
            one.case.name,
            *(f"{rates[name]:.0f}" for name in (_OWN, "s5cmd", "aws s3 sync")),
            *goals,
            f"{one.cpu_ms_per_file:.2f}",
            f"{one.start_s:.2f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _goal(one: Uploaded, peer: str) -> str:
    goal = one.case.goals.get(peer)
    return f"**{one.times_as_fast(peer):.2f}** ({'-' if goal is None else f'{goal:g}'})"


if __name__ == "__main__":
    chosen = CASES if len(sys.argv) < 2 else tuple(CASES[int(number)] for number in sys.argv[1:])
    found = []
    for one in measure(3, chosen):
        found.append(one)
        print(table(found), flush=True)
