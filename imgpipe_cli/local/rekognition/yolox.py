"""YOLOX's own arithmetic around its network: a picture in, boxes with classes and scores out.

As in the demo of https://github.com/Megvii-BaseDetection/YOLOX for its release 0.1.1rc0: BGR from 0 to 255
without normalisation, scaled to fit and padded with grey at the right and bottom; the exported network leaves
its grid coordinates to be decoded here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from imgpipe_cli.local.rekognition.picture import Pixels

SIDE = 416
STRIDES = (8, 16, 32)
PADDING = 114
OVERLAP = 0.45
"""Of two boxes that share more than this (intersection over union), the surer one stays."""

# More things than Rekognition lists instances for any label; a bound on noise, not on pictures.
MAX_BOXES = 100

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """One box in pixels of the picture it was found in. number: COCO's class; score: from 0 to 1."""

    number: int
    score: float
    left: float
    top: float
    right: float
    bottom: float


def prepared(pixels: Pixels) -> tuple[Floats, float]:
    """The network's input of shape [1, 3, SIDE, SIDE], and by how much the picture was scaled for it."""
    import cv2

    height, width = pixels.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    across, down = max(1, int(width * ratio)), max(1, int(height * ratio))
    padded = np.full((SIDE, SIDE, 3), PADDING, np.uint8)
    padded[:down, :across] = cv2.resize(pixels, (across, down), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32), ratio


def found(output: Floats, ratio: float, least_score: float) -> list[Found]:
    """What the network's output of shape [1, cells, 5 + classes] says, the surest first.

    A score is that of the surest class times that of there being an object at all.
    """
    rows = output[0]
    scores = rows[:, 4:5] * rows[:, 5:]
    numbers = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), numbers]
    sure = np.flatnonzero(best >= least_score)
    sure = sure[np.argsort(-best[sure], kind="stable")]
    boxes = _boxes(rows[sure, :4], _cells()[sure]) / ratio
    kept = _without_doubles(boxes)[:MAX_BOXES]
    return [
        Found(int(numbers[sure[place]]), float(best[sure[place]]), *(float(edge) for edge in boxes[place]))
        for place in kept
    ]


@cache
def _cells() -> Floats:
    """Column, row and stride of each row of the output: a grid for each stride, row by row."""
    grids = []
    for stride in STRIDES:
        count = SIDE // stride
        rows, columns = np.divmod(np.arange(count * count), count)
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=1))
    return np.concatenate(grids).astype(np.float32)


def _boxes(raw: Floats, cells: Floats) -> Floats:
    """Left, top, right and bottom in pixels of the input."""
    stride = cells[:, 2:3]
    centres = (raw[:, :2] + cells[:, :2]) * stride
    halves = np.exp(raw[:, 2:]) * stride / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _without_doubles(boxes: Floats) -> list[int]:
    """The places of the boxes that stay, over all classes at once: one thing has one name.

    boxes: the surest first. Sides count one pixel more than their difference, as in the original.
    """
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    order = np.arange(len(boxes))
    kept: list[int] = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        across = np.minimum(right[first], right[rest]) - np.maximum(left[first], left[rest]) + 1
        down = np.minimum(bottom[first], bottom[rest]) - np.maximum(top[first], top[rest]) + 1
        shared = np.maximum(0, across) * np.maximum(0, down)
        order = rest[shared / (areas[first] + areas[rest] - shared) <= OVERLAP]
    return kept
