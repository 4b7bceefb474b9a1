"""BlazeFace's own arithmetic around its network: a square picture in, faces with six points out.

The short-range model of MediaPipe: RGB from -1 to 1 at 128 x 128 pixels. It looks at two grids, with two
guesses for each cell of the fine one and six for each cell of the coarse one; places are relative to a cell's
middle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from imgpipe_cli.local.rekognition.geometry import PixelBox, Point
from imgpipe_cli.local.rekognition.picture import Pixels

SIDE = 128
# Columns of each grid, and guesses for each of its cells.
_GRIDS = ((16, 2), (8, 6))
_POINTS = 6

# A face is looked at again with so many times its width around it, and is the same face from this score on.
_AROUND = 2.0
LEAST_TURNED = 0.5

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """One guess, in pixels of the picture. score: from 0 to 1.

    points: left and right eye as the viewer sees them, nose, mouth, left and right ear.
    """

    score: float
    left: float
    top: float
    right: float
    bottom: float
    points: tuple[Point, ...]

    def enlarged(self, scale: float) -> Found:
        """The same in a picture that is so many times larger."""
        left, top, right, bottom = (edge * scale for edge in (self.left, self.top, self.right, self.bottom))
        points = tuple((x * scale, y * scale) for x, y in self.points)
        return Found(self.score, left, top, right, bottom, points)


class Network:
    """The loaded network; not to be used by two threads at once."""

    def __init__(self, cv2: Any, data: bytes) -> None:
        self._cv2 = cv2
        self._net = _loaded(cv2, data)
        self._outputs = self._net.getUnconnectedOutLayersNames()

    def find(self, pixels: Pixels, place: PixelBox, least_score: float) -> list[Found]:
        """Faces in a part of BGR pixels, which may not be empty. The surest first, several for one face."""
        square, scale = self._prepared(pixels, place)
        self._net.setInput(square)
        outputs = {output.shape[-1]: output[0] for output in self._net.forward(self._outputs)}
        scores = 1 / (1 + np.exp(-np.clip(outputs[1][:, 0], -50, 50)))
        sure = np.flatnonzero(scores >= least_score)
        sure = sure[np.argsort(-scores[sure], kind="stable")]
        raw = outputs[4 + 2 * _POINTS][sure]
        middles = _middles()[sure]
        return [_found(*each, place, scale) for each in zip(scores[sure], raw, middles, strict=True)]

    def find_turned(self, pixels: Pixels, face: Found, degrees: float) -> Found | None:
        """A known face, looked at again after turning the picture to the left by so many degrees; in the
        pixels of the picture as it is. None where it is not seen like that."""
        middle = ((face.left + face.right) / 2, (face.top + face.bottom) / 2)
        side = _AROUND * max(face.right - face.left, face.bottom - face.top)
        turn = self._cv2.getRotationMatrix2D(middle, degrees, SIDE / side)
        turn[:, 2] += SIDE / 2 - np.array(middle)
        square = self._cv2.warpAffine(pixels, turn, (SIDE, SIDE), flags=self._cv2.INTER_AREA)
        seen = self.find(square, (0, 0, SIDE, SIDE), LEAST_TURNED)
        if not seen:
            return None
        back = self._cv2.invertAffineTransform(turn)
        points = np.array(seen[0].points) @ back[:, :2].T + back[:, 2]
        return replace(face, score=seen[0].score, points=tuple((float(x), float(y)) for x, y in points))

    def _prepared(self, pixels: Pixels, place: PixelBox) -> tuple[Floats, float]:
        """The network's input, the part at its top left; and the input's pixels for one of the picture."""
        left, top, right, bottom = place
        scale = SIDE / max(right - left, bottom - top)
        size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        smaller = self._cv2.INTER_AREA if scale < 1 else self._cv2.INTER_LINEAR
        square = np.zeros((SIDE, SIDE, 3), np.uint8)
        part = self._cv2.resize(pixels[top:bottom, left:right], size, interpolation=smaller)
        square[: size[1], : size[0]] = part[..., ::-1]
        values = square.astype(np.float32) / 127.5 - 1
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None]), scale


def _loaded(cv2: Any, data: bytes) -> Any:
    if not hasattr(cv2.dnn, "ENGINE_CLASSIC"):
        return cv2.dnn.readNetFromTFLite(np.frombuffer(data, np.uint8))
    # OpenCV 5: its new engine loses this network's scores without a word, and only a file can be given to the
    # old one.
    with TemporaryDirectory(prefix="imgpipe-") as folder:
        file = Path(folder, "faces.tflite")
        file.write_bytes(data)
        return cv2.dnn.readNetFromTFLite(str(file), cv2.dnn.ENGINE_CLASSIC)


@cache
def _middles() -> Floats:
    """The middle of the cell of each guess, as ratios of the input."""
    grids = []
    for count, guesses in _GRIDS:
        rows, columns = np.divmod(np.arange(count * count), count)
        grids.append(np.repeat((np.stack([columns, rows], axis=1) + 0.5) / count, guesses, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _found(score: Any, raw: Floats, middle: Floats, place: PixelBox, scale: float) -> Found:
    def point(pair: Floats) -> Point:
        x, y = (pair + middle * SIDE) / scale + place[:2]
        return float(x), float(y)

    (x, y), (across, down) = point(raw[:2]), raw[2:4] / (2 * scale)
    points = tuple(point(raw[at : at + 2]) for at in range(4, 4 + 2 * _POINTS, 2))
    left, top, right, bottom = (float(edge) for edge in (x - across, y - down, x + across, y + down))
    return Found(float(score), left, top, right, bottom, points)
