"""Boxes and quadrilaterals as ratios of the upright picture, the way Rekognition reports places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]

PixelBox = tuple[int, int, int, int]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class Box:
    """An upright rectangle; all four numbers are ratios of the picture's sides."""

    left: float
    top: float
    width: float
    height: float

    def holds(self, point: Point) -> bool:
        x, y = point
        return self.left <= x <= self.left + self.width and self.top <= y <= self.top + self.height

    def wire(self) -> dict[str, float]:
        return {
            "Width": round(self.width, 6),
            "Height": round(self.height, 6),
            "Left": round(self.left, 6),
            "Top": round(self.top, 6),
        }


def box_of(edges: tuple[float, float, float, float], size: tuple[int, int]) -> Box:
    """The part within a picture of (width, height) pixels. edges in pixels: left, top, right, bottom."""
    left, top, right, bottom = (
        min(max(edge / side, 0.0), 1.0) for edge, side in zip(edges, size * 2, strict=True)
    )
    return Box(left, top, right - left, bottom - top)


def pixels_of(box: Box, size: tuple[int, int]) -> PixelBox:
    """The box in a picture of (width, height) pixels: within it, and at least one pixel."""
    width, height = size
    left, top = min(int(box.left * width), width - 1), min(int(box.top * height), height - 1)
    right, bottom = math.ceil((box.left + box.width) * width), math.ceil((box.top + box.height) * height)
    left, top = max(0, left), max(0, top)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


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
