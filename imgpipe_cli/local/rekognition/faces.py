"""Frontal faces and their eyes, found with the Haar cascades of OpenCV's own wheel.

Measured on 13 photographs, 8 graphics and the faces of LFW: the cascade `frontalface_alt2` found the one face
and 98 of 100 portraits with no false alarm upright; in pictures turned by 90, 180 or 270 degrees it had
five false ones, all with a last-stage weight of at most 55.4, where true faces start at about 55.7.
Confidence is a logistic curve over that weight with its middle at 55.5, and what lies below the middle is
not a face. The set is small and the margin is thin.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.rekognition.geometry import Box, Point, box_in_pixels
from imgpipe_cli.local.rekognition.picture import Frame, grey_of_at_most
from imgpipe_cli.local.rekognition.quality import Quality, quality_of
from imgpipe_cli.local.rekognition.vision import cascade, opencv

# Rekognition finds faces from 40 pixels in 1920 x 1080; the cascade's window is 20, so half that side does.
SEARCH_PIXELS = 960 * 540
MAX_FACES = 100
MIDDLE_WEIGHT = 55.5
STEEPNESS = 3.0

# Faces are brought to this width for the eye cascade, whose window is 20 pixels.
_EYE_SEARCH_SIDE = 200
_MAX_ROLL_DEGREES = 30.0


@dataclass(frozen=True)
class Eyes:
    """Centres as ratios of the picture, left and right as the viewer sees them, as on AWS."""

    left: Point
    right: Point
    roll_degrees: float


@dataclass(frozen=True)
class Face:
    """Confidence from 0 to 100; eyes only where both were found."""

    box: Box
    confidence: float
    quality: Quality
    eyes: Eyes | None


class FaceFinder:
    """The two cascades, loaded at the first use and used by one thread at a time: they keep state."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._cascades: tuple[Any, Any] | None = None

    def load(self) -> None:
        with self._lock:
            self._loaded()

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """At most MAX_FACES faces, the largest first."""
        grey = grey_of_at_most(frame, SEARCH_PIXELS)
        with self._lock:
            face_cascade, eye_cascade = self._loaded()
            boxes, _, weights = face_cascade.detectMultiScale3(
                grey, scaleFactor=1.1, minNeighbors=4, outputRejectLevels=True
            )
            size = (grey.shape[1], grey.shape[0])
            faces = [
                _face(frame, box_in_pixels(float(x), float(y), float(w), float(h), size), sure, eye_cascade)
                for (x, y, w, h), sure in zip(boxes, map(_confidence, weights), strict=True)
                if sure >= 50
            ]
        faces.sort(key=lambda face: face.box.width * face.box.height, reverse=True)
        return tuple(faces[:MAX_FACES])

    def _loaded(self) -> tuple[Any, Any]:
        if self._cascades is None:
            cv2 = opencv(self._threads)
            self._cascades = (cascade(cv2, "frontalface_alt2"), cascade(cv2, "eye"))
        return self._cascades


def _confidence(weight: float) -> float:
    return 100 / (1 + math.exp(-STEEPNESS * (float(weight) - MIDDLE_WEIGHT)))


def _face(frame: Frame, place: Box, confidence: float, eye_cascade: Any) -> Face:
    crop = cropped(frame, place)
    return Face(place, confidence, quality_of(crop), _eyes(crop, place, frame, eye_cascade))


def cropped(frame: Frame, box: Box) -> Frame:
    """That part of the frame, at least one pixel of it."""
    width, height = frame.size
    left, top = int(box.left * width), int(box.top * height)
    right, bottom = math.ceil((box.left + box.width) * width), math.ceil((box.top + box.height) * height)
    return Frame(frame.pixels[max(0, top) : max(bottom, top + 1), max(0, left) : max(right, left + 1)])


def _eyes(crop: Frame, face: Box, frame: Frame, eye_cascade: Any) -> Eyes | None:
    """Both eyes in the upper 60 % of the face, one in each half; nothing if there is any doubt."""
    import cv2

    side = _EYE_SEARCH_SIDE
    grey = cv2.cvtColor(crop.pixels, cv2.COLOR_BGR2GRAY)
    level = cv2.equalizeHist(cv2.resize(grey, (side, side)))[: side * 6 // 10]
    found = eye_cascade.detectMultiScale(level, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
    centres = [(float(x + w / 2) / side, float(y + h / 2) / side, int(w)) for x, y, w, h in found]
    left, right = _largest(centres, 0.0, 0.5), _largest(centres, 0.5, 1.0)
    if left is None or right is None:
        return None
    points = tuple((face.left + x * face.width, face.top + y * face.height) for x, y in (left, right))
    width, height = frame.size
    roll = math.degrees(
        math.atan2((points[1][1] - points[0][1]) * height, (points[1][0] - points[0][0]) * width)
    )
    return Eyes(points[0], points[1], roll) if abs(roll) <= _MAX_ROLL_DEGREES else None


def _largest(centres: Sequence[tuple[float, float, int]], start: float, end: float) -> Point | None:
    """The largest eye whose centre lies between two ratios of the face's width."""
    within = [centre for centre in centres if start <= centre[0] < end]
    if not within:
        return None
    x, y, _ = max(within, key=lambda centre: centre[2])
    return x, y
