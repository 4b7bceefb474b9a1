"""What the cap does for a burst: `python benchmarks/burst.py` in an environment with imgpipe[local].

A local cloud of its own in a temporary folder works on 16 pictures at once, its Rekognition answers two calls
a second, and 300 pictures come at once. The cap follows from `up --rekognition-tps 2`; --uncapped is the same
without it. Takes as long as the limit does: 300 pictures at 2 a second are 150 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

PROJECT = "burst"
_LATENCY = "milliseconds added to each answer, which takes that long on AWS (default 300)"
# What is asked for.
LEAST_USED = 0.9
MOST_CALLS = 2.0
MOST_FUNCTION_S = 2.0


@dataclass(frozen=True)
class Measured:
    """Of all pictures: whose event is in the failure queue, seconds until all have ended, calls of
    Rekognition, and seconds of the function over all runs."""

    pictures: int
    done: int
    lost: int
    wall_s: float
    calls: int
    answered: int
    function_s: float

    def kept(self, tps: float) -> bool:
        return (
            self.lost == 0
            and self.done == self.pictures
            and self.used(tps) >= LEAST_USED
            and self.calls <= MOST_CALLS * self.pictures
            and self.function_s <= MOST_FUNCTION_S * self.pictures
        )

    def used(self, tps: float) -> float:
        """The share of the limit that brought answers."""
        return self.answered / (self.wall_s * tps)

    def told(self, tps: float) -> str:
        return (
            f"{self.pictures} pictures in {self.wall_s:.1f} s: {self.done} done, {self.lost} in the failure "
            f"queue, {self.used(tps):.1%} of the limit used, {self.calls / self.pictures:.2f} calls and "
            f"{self.function_s / self.pictures:.2f} s of the function a picture"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure a burst of pictures on the local cloud.")
    parser.add_argument("--pictures", type=int, default=300, help="how many come at once (default 300)")
    parser.add_argument("--concurrency", type=int, default=16, help="runs at once, uncapped (default 16)")
    parser.add_argument("--tps", type=float, default=2.0, help="calls a second that are answered (default 2)")
    parser.add_argument("--latency", type=float, default=300.0, help=_LATENCY)
    parser.add_argument("--uncapped", action="store_true", help="without the reserved concurrency")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder,
        _cloud(Path(folder), chosen) as cloud,
    ):
        measured = cloud.burst(chosen.pictures)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; {measured.told(chosen.tps)}")
    return 1 if chosen.check and not measured.kept(chosen.tps) else 0


@dataclass(frozen=True)
class Cloud:
    """A local cloud in a folder, with a pipeline."""

    folder: Path

    def imgpipe(self, *arguments: str) -> str:
        environment = {**os.environ, "IMGPIPE_STATE_DIR": str(self.folder / "state")}
        words = [sys.executable, "-m", "imgpipe_cli", *arguments]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"imgpipe {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def here(self, *arguments: str) -> str:
        return self.imgpipe(*arguments, "--local", "--project", PROJECT)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.imgpipe("local", "status", "--json"))["data"]
        return found

    def burst(self, pictures: int) -> Measured:
        before = _counted(self.status())
        began = datetime.now(UTC)
        self.here("upload", str(_pictures(self.folder / "pictures", pictures)))
        self._wait()
        after = _counted(self.status())
        calls = {name: after[name] - before.get(name, 0) for name in after}
        lost = json.loads(self.here("retry", "--dry-run", "--json"))["data"]
        results = [json.loads(line) for line in self.here("list", "--limit", "0", "--json").splitlines()]
        ended = max(datetime.fromisoformat(item["analyzedAt"]) for item in results)
        return Measured(
            pictures=pictures,
            done=sum(item.get("status") == "done" for item in results),
            lost=len(lost["pictures"]),
            wall_s=(ended - began).total_seconds(),
            calls=sum(calls.values()),
            answered=calls.get("answered", 0),
            function_s=sum(_durations_s(self.here("logs", "ingest", "--json").splitlines())),
        )

    def _wait(self) -> None:
        """Until the last event has ended."""
        while True:
            queue = self.status()["queue"]
            if queue["waiting"] == queue["running"] == 0:
                return
            time.sleep(3)


@contextmanager
def _cloud(folder: Path, chosen: argparse.Namespace) -> Iterator[Cloud]:
    cloud = Cloud(folder)
    cloud.imgpipe("local", "start", "--concurrency", str(chosen.concurrency))
    try:
        cloud.here("up", "--no-models", "--rekognition-tps", str(chosen.tps))
        if chosen.uncapped:
            _uncap(cloud)
        cloud.imgpipe("local", "faults", "--tps", str(chosen.tps), "--latency", str(chosen.latency))
        yield cloud
    finally:
        cloud.imgpipe("local", "stop")


def _uncap(cloud: Cloud) -> None:
    import boto3

    values = json.loads(cloud.imgpipe("local", "env", "--json"))["data"]
    client: Any = boto3.client(
        "lambda",
        endpoint_url=values["AWS_ENDPOINT_URL"],
        region_name=values["AWS_REGION"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )
    client.delete_function_concurrency(FunctionName=f"{PROJECT}-ingest")


def _pictures(folder: Path, count: int) -> Path:
    """So many small pictures, none with the bytes of another: what is measured is the waiting."""
    folder.mkdir()
    for number in range(count):
        picture = Image.new("RGB", (96, 96), (number % 256, number // 256, 90))
        picture.save(folder / f"{number:04}.jpg")
    return folder


def _counted(status: dict[str, Any]) -> dict[str, int]:
    return dict((status["calls"] or {}).get("DetectLabels", {}))


def _durations_s(lines: list[str]) -> Iterator[float]:
    """Of each run, in the function's own words."""
    for line in lines:
        found = json.loads(line)
        if found["message"] in ("record_handled", "record_failed"):
            yield found["fields"]["durationMs"] / 1000


if __name__ == "__main__":
    sys.exit(main())
