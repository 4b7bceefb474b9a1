"""Boxes and quadrilaterals as ratios of the upright picture, the way Rekognition reports places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """An upright rectangle; all four numbers are ratios of the picture's sides."""

    left: float
    top: float
    width: float
    height: float

    def wire(self) -> dict[str, float]:
        return {
            "Width": round(self.width, 6),
            "Height": round(self.height, 6),
            "Left": round(self.left, 6),
            "Top": round(self.top, 6),
        }


def box_in_pixels(x: float, y: float, width: float, height: float, frame: tuple[int, int]) -> Box:
    """The box of a rectangle given in pixels of a frame of (width, height) pixels."""
    across, down = frame
    return Box(x / across, y / down, width / across, height / down)


def box_around(points: Sequence[Point]) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def geometry(polygon: Sequence[Point]) -> dict[str, Any]:
    """Rekognition's Geometry: the polygon in reading order and the upright box around it."""
    return {
        "BoundingBox": box_around(polygon).wire(),
        "Polygon": [{"X": round(x, 6), "Y": round(y, 6)} for x, y in polygon],
    }


def between(start: Point, end: Point, share: float) -> Point:
    """The point that lies `share` of the way from start to end."""
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


def inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Whether the point lies in the polygon, which may be concave: an odd number of edges to its right."""
    x, y = point
    odd = False
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            odd = not odd
    return odd
