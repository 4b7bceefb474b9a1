"""Objects: things with boxes, found by YOLOX.

Confidence is the model's own score in percent, as it is: it was not compared with Rekognition's, whose scores
for the same thing are mostly higher. LEAST_SCORE is the threshold from which the model's authors draw boxes;
what DetectLabels reports by default starts at 55 and what imgpipe shows by default at 70.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from imgpipe_cli.local.rekognition import yolox
from imgpipe_cli.local.rekognition.coco import LABELS
from imgpipe_cli.local.rekognition.geometry import Box, box_of
from imgpipe_cli.local.rekognition.picture import Frame
from imgpipe_cli.local.rekognition.vision import onnx_session

LEAST_SCORE = 0.3


@dataclass(frozen=True)
class Thing:
    """Confidence from 0 to 100; the box lies within the picture."""

    name: str
    confidence: float
    box: Box


class Detector:
    """One loaded model; used by one thread at a time, because each use takes 60 MB for a moment."""

    def __init__(self, version: str, data: bytes) -> None:
        self.version = version
        self._session = onnx_session(data)
        self._lock = threading.Lock()

    def find(self, frame: Frame) -> tuple[Thing, ...]:
        """The surest first."""
        small = frame.reduced
        with self._lock:
            picture, ratio = yolox.prepared(small.pixels)
            (output,) = self._session.run(None, {"images": picture})
        return tuple(_thing(seen, small.size) for seen in yolox.found(output, ratio, LEAST_SCORE))


def _thing(seen: yolox.Found, size: tuple[int, int]) -> Thing:
    box = box_of((seen.left, seen.top, seen.right, seen.bottom), size)
    return Thing(LABELS[seen.number], 100 * seen.score, box)
