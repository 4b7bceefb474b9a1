"""Faces with six points each, found by BlazeFace where the detector saw a person, and once in all.

The network sees a face only where it fills a good part of the square that it is shown. So it is shown each
person, and the upper part of each, and the whole picture, where a person may fill all of it; then each face
that is not certain once more from close by. It takes some animals for people; their faces do not count.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from imgpipe_cli.local.rekognition.blazeface import Found, Network
from imgpipe_cli.local.rekognition.coco import ANIMALS
from imgpipe_cli.local.rekognition.geometry import Box, PixelBox, Point, box_of, pixels_of
from imgpipe_cli.local.rekognition.objects import Thing
from imgpipe_cli.local.rekognition.picture import Frame
from imgpipe_cli.local.rekognition.quality import Quality, quality_of
from imgpipe_cli.local.rekognition.vision import opencv

# What may be a face. In a place where a person is, nothing else looks much like one.
LEAST_SCORE_AT_A_PERSON = 0.60
LEAST_SCORE_ANYWHERE = 0.50

# From such a score on it is one at first sight. Anything else has to have such a score at a second, closer
# look, where the muzzles and masks that were tried had at most 0.68 and faces 0.80 and more.
SURE_SCORE = 0.90
CONFIRMED_SCORE = 0.75

MAX_FACES = 100
# Each costs two looks of 3 ms.
MAX_PERSONS = 40

# Degrees from which a head leans so much that the network misplaces its points. The second look is at the
# face as it is and turned by so many degrees to either side.
_LEANING, _TURN = 15.0, 45.0

# Two boxes that share more than this of the smaller one are one face.
_SAME = 0.5


@dataclass(frozen=True)
class Face:
    """Confidence from 0 to 100. Points are ratios of the picture, left and right as the viewer sees them.

    roll and yaw in degrees: roll is positive where the head leans to the viewer's right, yaw where the nose
    points to the viewer's right.
    """

    box: Box
    confidence: float
    quality: Quality
    eyes: tuple[Point, Point]
    nose: Point
    mouth: Point
    ears: tuple[Point, Point]
    roll: float
    yaw: float


class FaceFinder:
    """The loaded network; used by one thread at a time: it keeps state."""

    def __init__(self, version: str, data: bytes, threads: int) -> None:
        self.version = version
        self._network = Network(opencv(threads), data)
        self._lock = threading.Lock()

    def find(self, frame: Frame, things: Sequence[Thing], is_animal: Callable[[], bool]) -> tuple[Face, ...]:
        """At most MAX_FACES faces, the largest first. things: what the detector saw in the picture;
        is_animal: whether the picture is of an animal, asked only where that matters."""
        persons = [thing.box for thing in things if thing.name == "Person"]
        persons.sort(key=lambda box: -box.width * box.height)
        found: list[Found] = []
        with self._lock:
            for person in persons[:MAX_PERSONS]:
                for place in _places(pixels_of(person, frame.size)):
                    found += self._network.find(frame.pixels, place, LEAST_SCORE_AT_A_PERSON)[:1]
            small = frame.reduced
            anywhere = self._network.find(small.pixels, (0, 0, *small.size), LEAST_SCORE_ANYWHERE)
            scale = frame.size[0] / small.size[0]
            candidates = _without_doubles([*found, *(one.enlarged(scale) for one in anywhere)])
            faces = [face for one in candidates if (face := self._confirmed(frame, one))]
        if faces and is_animal():
            faces = [face for face in faces if _is_a_persons(face, frame.size, things)]
        faces.sort(key=lambda face: -(face.right - face.left) * (face.bottom - face.top))
        return tuple(_face(frame, face) for face in faces[:MAX_FACES])

    def _confirmed(self, frame: Frame, face: Found) -> Found | None:
        """The face with the score and the points of the surest look at it; None where it is none."""
        if face.score >= SURE_SCORE and abs(_roll(*face.points[:2])) < _LEANING:
            return face
        looks = [self._network.find_turned(frame.pixels, face, degrees) for degrees in (0, -_TURN, _TURN)]
        best = max(filter(None, looks), key=lambda look: look.score, default=face)
        if best is face or best.score < CONFIRMED_SCORE:
            return None
        return replace(best, score=max(best.score, face.score))


def _places(person: PixelBox) -> Iterator[PixelBox]:
    """A person, and the upper part of one who stands."""
    left, top, right, bottom = person
    yield person
    if bottom - top > right - left:
        yield left, top, right, top + right - left


def _without_doubles(found: list[Found]) -> list[Found]:
    """The surest look at each face."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(_shared(one, other) <= _SAME for other in kept):
            kept.append(one)
    return kept


def _shared(one: Found, other: Found) -> float:
    """The part of the smaller box that lies in the other."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller = min((box.right - box.left) * (box.bottom - box.top) for box in (one, other))
    return max(0.0, across) * max(0.0, down) / max(smaller, 1e-9)


def _is_a_persons(face: Found, size: tuple[int, int], things: Sequence[Thing]) -> bool:
    """Whether the detector saw a person there, and is less sure of any animal."""
    middle = ((face.left + face.right) / 2 / size[0], (face.top + face.bottom) / 2 / size[1])
    there = [thing for thing in things if thing.box.holds(middle)]
    person = max((thing.confidence for thing in there if thing.name == "Person"), default=0.0)
    return person > max((thing.confidence for thing in there if thing.name in ANIMALS), default=0.0)


def _face(frame: Frame, found: Found) -> Face:
    width, height = frame.size
    box = box_of((found.left, found.top, found.right, found.bottom), frame.size)
    eye_left, eye_right, nose, mouth, ear_left, ear_right = ((x / width, y / height) for x, y in found.points)
    return Face(
        box=box,
        confidence=100 * found.score,
        quality=quality_of(cropped(frame, box)),
        eyes=(eye_left, eye_right),
        nose=nose,
        mouth=mouth,
        ears=(ear_left, ear_right),
        roll=_roll(*found.points[:2]),
        yaw=_yaw(found.points[2], *found.points[4:]),
    )


def _roll(left: Point, right: Point) -> float:
    """The slope of the line through both eyes."""
    return math.degrees(math.atan2(right[1] - left[1], right[0] - left[0]))


def _yaw(nose: Point, left: Point, right: Point) -> float:
    """How far the nose has gone from the middle between the ears, on a round head."""
    across = (right[0] - left[0], right[1] - left[1])
    length = across[0] ** 2 + across[1] ** 2
    along = (nose[0] - left[0]) * across[0] + (nose[1] - left[1]) * across[1]
    share = along / length if length else 0.5
    return math.degrees(math.asin(min(max(2 * share - 1, -1.0), 1.0)))


def cropped(frame: Frame, box: Box) -> Frame:
    """That part of the frame, at least one pixel of it."""
    left, top, right, bottom = pixels_of(box, frame.size)
    return Frame(frame.pixels[top:bottom, left:right])
