"""Many pictures at once end in as many results.

IMGPIPE_BURST=500 sends so many instead of a few; -s shows the numbers.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.machine import jpeg

COUNT = int(os.environ.get("IMGPIPE_BURST", "60"))
# What the whole local cloud may take, with all its models and workers.
MOST_BYTES = 900_000_000


def memory(root: int) -> tuple[int, int]:
    """(PSS bytes, processes) of a process and all below it; shared pages are counted once."""
    parents: dict[int, int] = {}
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdecimal():
                parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for pid in family:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total, len(family)


@contextmanager
def watched(root: int) -> Iterator[list[tuple[int, int]]]:
    """Samples of memory(root), gathered while the body runs."""
    samples: list[tuple[int, int]] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            samples.append(memory(root))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_pictures_at_once_end_in_as_many_results(pipeline: Pipeline, tmp_path: Path) -> None:
    machine = pipeline.machine
    folder = tmp_path / "burst"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"{number:04}.jpg").write_bytes(jpeg(number, side=200))
    project = ("--project", "burst", "--local")
    machine.imgpipe("up", *project)
    started = time.monotonic()
    with watched(machine.cloud().pid) as samples:
        sent = machine.imgpipe("upload", folder, "--wait", "--json", *project, timeout_s=280)
    took_s = time.monotonic() - started
    items = sent.lines()
    assert {item["objectKey"] for item in items} == {f"burst/{n:04}.jpg" for n in range(COUNT)}
    assert len(items) == COUNT
    assert {item["status"] for item in items} == {"done"}
    most, processes = max(samples)
    print(f"{COUNT} results in {took_s:.1f} s, at most {most / 1024**2:.0f} MB PSS in {processes} processes")
    assert most < MOST_BYTES
    going = machine.imgpipe("down", *project, "--dry-run", "--json").json()["data"]["contents"]
    assert (going["bucket"]["objects"], going["table"]["results"]) == (COUNT, COUNT)
    assert going["queue"]["failed_events"] == 0
    machine.imgpipe("down", *project, "--yes")
