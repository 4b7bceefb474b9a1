"""How much of what is in photographs the local analysis names: `make accuracy`.

Counts labels at DetectLabels' own threshold and at the one that imgpipe shows from, faces, and lines of text,
on the pictures of truth.py. An ancestor (Animal for Cat) counts neither as named nor as wrong.
"""

from __future__ import annotations

import sys
import tempfile
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgpipe_cli.local.rekognition import Rekognition
from installed_models import with_models
from truth import Truth, pictures

THRESHOLDS = (55, 70)


@dataclass
class Count:
    """Texts such as `cat.jpg Cat`."""

    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, picture: str, found: list[str], wanted: list[str], fits: tuple[str, ...] = ()) -> None:
        """Every thing once: what is wanted twice has to be found twice."""
        left = list(wanted)
        for one in found:
            if one in left:
                left.remove(one)
                self.right.append(f"{picture} {one}")
            elif one not in fits:
                self.wrong.append(f"{picture} {one}")
        self.missed += [f"{picture} {one}" for one in left]

    def __str__(self) -> str:
        return f"{len(self.right)} | {len(self.wrong)} | {len(self.missed)}"


@dataclass
class Counts:
    labels: dict[int, Count] = field(default_factory=lambda: {least: Count() for least in THRESHOLDS})
    faces: Count = field(default_factory=Count)
    lines: Count = field(default_factory=Count)


def counted(service: Rekognition) -> Counts:
    """All pictures, asked as the pipeline asks."""
    counts = Counts()
    for path, truth in pictures():
        count_picture(counts, service, path, truth)
    return counts


def count_picture(counts: Counts, service: Rekognition, path: Path, truth: Truth) -> None:
    name, image = path.name, {"Image": {"Bytes": b64encode(path.read_bytes()).decode()}}
    labels = _answer(service, "DetectLabels", {**image, "MinConfidence": min(THRESHOLDS)})["Labels"]
    for least, count in counts.labels.items():
        found = [label["Name"] for label in labels if label["Confidence"] >= least]
        count.add(name, found, list(truth.things), truth.fits)
    faces = _answer(service, "DetectFaces", image)["FaceDetails"]
    counts.faces.add(name, ["face"] * len(faces), ["face"] * truth.faces)
    text = _answer(service, "DetectText", image)["TextDetections"]
    lines = [entry["DetectedText"] for entry in text if entry["Type"] == "LINE"]
    counts.lines.add(name, lines, list(truth.lines))


def _answer(service: Rekognition, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    status, body = service.answer(operation, request, _no_bucket)
    assert status == 200, body
    return body


def _no_bucket(*place: object) -> bytes:
    raise KeyError(place)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="imgpipe-accuracy-") as folder:
        service = Rekognition(models=with_models(Path(folder) / "models"))
        counts = counted(service)
        print(f"{len(list(pictures()))} pictures, {service.capabilities()['models']['labels']}\n")
    rows = [*((f"labels from {least} %", count) for least, count in counts.labels.items())]
    rows += [("faces", counts.faces), ("lines of text", counts.lines)]
    print("| | right | wrong | missed |\n|---|---|---|---|")
    for title, count in rows:
        print(f"| {title} | {count} |")
    for title, count in rows:
        for kind in ("wrong", "missed"):
            print(f"\n{title}, {kind}: {'; '.join(getattr(count, kind)) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
