"""DetectText's answer: filters, the limit of 100 words, and lines made of the words that remain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.rekognition.errors import invalid_parameter
from imgpipe_cli.local.rekognition.geometry import Point, between, box_around, geometry, inside
from imgpipe_cli.local.rekognition.text import Line, Word
from imgpipe_cli.local.rekognition.wire import Fields, items, member, number, optional_member

MAX_WORDS = 100
DEFAULT_WORD_CONFIDENCE = 80.0
_MAX_REGIONS = 10
_GRID = 8


@dataclass(frozen=True)
class TextFilters:
    min_confidence: float = DEFAULT_WORD_CONFIDENCE
    min_height: float = 0.0
    min_width: float = 0.0
    regions: tuple[tuple[Point, ...], ...] = ()

    def takes(self, word: Word) -> bool:
        box = box_around(word.polygon)
        return (
            word.confidence >= self.min_confidence
            and box.height >= self.min_height
            and box.width >= self.min_width
            and (not self.regions or any(_mostly_inside(word.polygon, region) for region in self.regions))
        )


def text_filters(request: Fields) -> TextFilters:
    filters = optional_member(request, "Filters") or {}
    words = optional_member(filters, "WordFilter") or {}
    return TextFilters(
        min_confidence=number(words, "MinConfidence", DEFAULT_WORD_CONFIDENCE),
        min_height=number(words, "MinBoundingBoxHeight", 0, most=1),
        min_width=number(words, "MinBoundingBoxWidth", 0, most=1),
        regions=tuple(_region(entry) for entry in items(filters, "RegionsOfInterest", most=_MAX_REGIONS)),
    )


def text_detections(lines: Sequence[Line], filters: TextFilters) -> list[dict[str, Any]]:
    """Lines first, then their words, numbered through. A line consists of the words that the filters left;
    without any it is not reported."""
    left = MAX_WORDS
    kept: list[Line] = []
    for line in lines:
        words = tuple(word for word in line.words if filters.takes(word))[:left]
        left -= len(words)
        if words:
            kept.append(_of_words(line, words))
    found = [_wire(line.text, "LINE", index, line) for index, line in enumerate(kept)]
    for index, line in enumerate(kept):
        for word in line.words:
            found.append({**_wire(word.text, "WORD", len(found), word), "ParentId": index})
    return found


def _of_words(line: Line, words: tuple[Word, ...]) -> Line:
    if words == line.words:
        return line
    (top_left, _, _, bottom_left), (_, top_right, bottom_right, _) = words[0].polygon, words[-1].polygon
    confidence = sum(word.confidence for word in words) / len(words)
    return Line(words, confidence, (top_left, top_right, bottom_right, bottom_left))


def _wire(text: str, kind: str, number_: int, place: Line | Word) -> dict[str, Any]:
    return {
        "DetectedText": text,
        "Type": kind,
        "Id": number_,
        "Confidence": round(place.confidence, 4),
        "Geometry": geometry(place.polygon),
    }


def _region(entry: Any) -> tuple[Point, ...]:
    if not isinstance(entry, dict) or ("BoundingBox" in entry) == ("Polygon" in entry):
        raise invalid_parameter("a region of interest has either BoundingBox or Polygon.")
    if "BoundingBox" in entry:
        box = member(entry, "BoundingBox")
        left, top, width, height = (
            number(box, name, 0, least=-1, most=1) for name in ("Left", "Top", "Width", "Height")
        )
        return ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
    points = items(entry, "Polygon", most=10)
    if len(points) < 3 or not all(isinstance(point, dict) for point in points):
        raise invalid_parameter("Polygon must have 3 to 10 points.")
    return tuple((number(point, "X", 0, most=1), number(point, "Y", 0, most=1)) for point in points)


def _mostly_inside(quad: Sequence[Point], region: Sequence[Point]) -> bool:
    """Whether more than half of the word lies in the region, judged at a grid of points on the word."""
    top_left, top_right, bottom_right, bottom_left = quad
    shares = [(step + 0.5) / _GRID for step in range(_GRID)]
    hits = sum(
        inside(between(between(top_left, top_right, x), between(bottom_left, bottom_right, x), y), region)
        for x in shares
        for y in shares
    )
    return hits > _GRID * _GRID / 2
