"""Exports from a local file of results: results a second, and how memory grows with their number.

python benchmarks/exporting.py [RESULTS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imgpipe_cli.pictures.exporting.formats import FORMATS

FEW = 100
MANY = 100_000
NAMES = [f"Label {number}" for number in range(300)]


def key(number: int) -> str:
    return f"holiday/2026/{number // 1000:04}/IMG_{number:07}.jpg"


def result(number: int) -> str:
    """As Rekognition describes an ordinary photograph: ten labels, some with parents and boxes."""
    labels = [
        {
            "Name": NAMES[(number * 7 + place * 13) % len(NAMES)],
            "Confidence": 99.0 - 2 * place,
            "Parents": [{"Name": NAMES[place]}, {"Name": NAMES[place + 1]}],
            "Aliases": [],
            "Categories": [{"Name": "Animals and Pets"}],
            "Instances": [
                {"BoundingBox": dict.fromkeys(("Left", "Top", "Width", "Height"), 0.25), "Confidence": 90.0}
            ]
            * (place % 3),
        }
        for place in range(10)
    ]
    item = {
        "objectKey": key(number),
        "bucket": "imgpipe-uploads-123456789012-eu-west-1-an",
        "status": "done",
        "analyzedAt": "2026-11-22T10:00:00.000Z",
        "features": ["labels"],
        "models": {"labels": "3.0"},
        "durationMs": 700,
        "versionId": f"{number:032}",
        "sizeBytes": 3_000_000,
        "contentType": "image/jpeg",
        "width": 4000,
        "height": 3000,
        "labels": labels,
    }
    return json.dumps(item) + "\n"


def measured(folder: Path, name: str, number: int) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and the most memory in MB of one whole process."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        options = (
            ["--map", f"holiday/={folder / 'pictures'}"] if name == "xmp" else ["--out", f"{scratch}/out"]
        )
        source = folder / f"{number}.jsonl"
        program = (sys.executable, "-m", "imgpipe_cli", "export")
        command = [*program, "--to", name, "--from", str(source), *options]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, command
        per_unit = 1024 if sys.platform != "darwin" else 1024 * 1024
        seconds, cpu_s = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
        return seconds, cpu_s, usage.ru_maxrss / per_unit


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["IMGPIPE_STATE_DIR"] = str(folder / "state")
        for number in (FEW, many):
            with (folder / f"{number}.jsonl").open("w") as file:
                file.writelines(map(result, range(number)))
        for number in range(many):
            picture = folder / "pictures" / key(number).removeprefix("holiday/")
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.touch()
        print(f"format    results/s   results/CPU s   MB at {FEW}   MB at {many}   growth")
        for kind in FORMATS:
            *_, before = measured(folder, kind, FEW)
            seconds, cpu_s, after = measured(folder, kind, many)
            rates = f"{many / seconds:>10.0f} {many / cpu_s:>15.0f}"
            print(f"{kind:<8} {rates} {before:>11.1f} {after:>14.1f} {after - before:>8.1f}")


if __name__ == "__main__":
    main()
