"""Text in the picture: lines and words, read by RapidOCR's PP-OCRv6 models from its own wheel.

Measured on photographs without text, the raw reader claims '8' at 0.90, 'AAA' at 0.62, '0000' at 0.77 and
single Chinese characters at 0.92; on blurred or turned copies also 'ap' at 0.87 and 'CO' at 0.81. A line
therefore counts from a score of 0.8, below four letters or digits from 0.95, with at least two of them and
nothing Chinese, Japanese or Korean. That left no false line on any of them; the price is a short true one now
and then, such as a lone "42".
"""

from __future__ import annotations

import itertools
import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgpipe_cli.local.rekognition.geometry import Point, between
from imgpipe_cli.local.rekognition.picture import Frame, Pixels

MIN_SCORE = 0.8
MIN_SCORE_SHORT = 0.95
MIN_ALPHANUMERICS = 2
LONG_ALPHANUMERICS = 4

# Text is located at this size and read from the full frame. Larger sides cost time and found no more.
LOCATE_SIDE = 960

# So many of the largest boxes are read to say whether a picture has text at all. Boxes alone do not tell:
# every third photograph without text has some.
MOST_READ_AT_A_GLANCE = 3

# A page of a book has 40 lines. Noise can have a thousand boxes, each of which costs 10 ms to read.
MAX_LINES = 150

# The reader likes full-width punctuation even between Latin letters.
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3002: ord("."), 0x3001: ord(",")}

# First and last character of the blocks from CJK radicals to Yi, Hangul, compatibility and supplementary.
_EAST_ASIAN = ((0x2E80, 0xA4CF), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


@dataclass(frozen=True)
class Word:
    """Confidence from 0 to 100; the polygon starts at the top left corner in reading direction."""

    text: str
    confidence: float
    polygon: tuple[Point, ...]


@dataclass(frozen=True)
class Line:
    words: tuple[Word, ...]
    confidence: float
    polygon: tuple[Point, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Glimpse:
    """What a glance says about text. share: the part of the picture in boxes of text, from 0 to 1;
    confidence: that of the first line that could be read, from 0 to 100, None where none could."""

    share: float
    confidence: float | None


NO_TEXT = Glimpse(0.0, None)


@dataclass(frozen=True)
class _Reading:
    """One cropped line as read: each character with its score and its place along the line, 0 to 1."""

    score: float
    characters: tuple[tuple[str, float, float | None], ...]
    turned: bool = False


class TextReader:
    """RapidOCR, loaded at the first use, used by whoever holds the lock: it keeps state and much memory."""

    def __init__(self, threads: int, lock: threading.Lock) -> None:
        self._threads = threads
        self._lock = lock
        self._engine: Any = None

    def load(self) -> None:
        with self._lock:
            engine = self._loaded()
            # Each stage loads its model with the first thing it sees.
            blank = np.full((48, 96, 3), 255, np.uint8)
            _located(engine, blank)
            _read(engine, [blank])

    def read(self, frame: Frame) -> tuple[Line, ...]:
        with self._lock:
            engine = self._loaded()
            quads, crops = _located(engine, frame.pixels)
            readings = _read(engine, crops)
        lines = (
            _line(quad, reading, frame)
            for quad, reading in zip(quads, readings, strict=True)
            if credible(reading)
        )
        return tuple(lines)

    def glance(self, frame: Frame) -> Glimpse:
        """Whether there is text: a tenth of the work of reading a page."""
        small = frame.reduced
        scale = frame.size[0] / small.size[0]
        with self._lock:
            engine = self._loaded()
            quads, _ = _located(engine, small.pixels)
            quads.sort(key=_area, reverse=True)
            for place, quad in enumerate(quads[:MOST_READ_AT_A_GLANCE]):
                crops = engine.crop_text_regions(frame.pixels, [(quad * scale).astype(np.float32)])
                (reading,) = _read(engine, list(crops))
                if credible(reading):
                    # What was read in vain is no text; what was not read probably is, beside this line.
                    covered = sum(map(_area, quads[place:])) / (small.size[0] * small.size[1])
                    return Glimpse(min(1.0, covered), reading.score * 100)
        return NO_TEXT

    def _loaded(self) -> Any:
        if self._engine is None:
            from rapidocr import RapidOCR

            runtime = "EngineConfig.onnxruntime."
            self._engine = RapidOCR(
                params={
                    "Global.log_level": "critical",
                    "Global.return_word_box": True,
                    # Larger batches of lines were no faster and take more memory.
                    "Rec.rec_batch_num": 2,
                    "Det.limit_type": "max",
                    "Det.limit_side_len": LOCATE_SIDE,
                    f"{runtime}intra_op_num_threads": self._threads,
                    f"{runtime}inter_op_num_threads": 1,
                    # Finding text is most of the work on a picture. It takes a tenth less with memory that is
                    # kept between pictures, about 200 MB.
                    f"{runtime}enable_cpu_mem_arena": True,
                }
            )
        return self._engine


def credible(reading: _Reading) -> bool:
    text = [character for character, _, _ in reading.characters]
    alphanumerics = sum(character.isalnum() for character in text)
    return (
        alphanumerics >= MIN_ALPHANUMERICS
        and reading.score >= (MIN_SCORE if alphanumerics >= LONG_ALPHANUMERICS else MIN_SCORE_SHORT)
        and not any(low <= ord(character) <= high for character in text for low, high in _EAST_ASIAN)
    )


def _located(engine: Any, pixels: Pixels) -> tuple[list[Any], list[Pixels]]:
    """The quadrilaterals of the lines from top to bottom, in pixels, and each line cut out level."""
    from rapidocr.main import RapidOCRError

    steps: dict[str, Any] = {}
    try:
        crops, found = engine.detect_and_crop(pixels, steps)
    except RapidOCRError:  # its way of saying that there is no text
        return [], []
    padding = steps["padding_1"]
    quads = [quad - (padding["left"], padding["top"]) for quad in found.boxes[:MAX_LINES]]
    return quads, list(crops[:MAX_LINES])


def _read(engine: Any, crops: list[Pixels]) -> list[_Reading]:
    if not crops:
        return []
    upright, angles = engine.cls_and_rotate(crops)
    turned = [label == "180" and score > engine.text_cls.cls_thresh for label, score in angles.cls_res]
    readings = _recognized(engine, upright, turned)
    # The angle classifier turns some tiny upright lines; a poor reading after a turn is tried as it was.
    doubtful = [
        index for index, reading in enumerate(readings) if reading.turned and reading.score < MIN_SCORE
    ]
    if doubtful:
        again = _recognized(engine, [crops[index] for index in doubtful], [False] * len(doubtful))
        for index, reading in zip(doubtful, again, strict=True):
            readings[index] = max(readings[index], reading, key=lambda each: each.score)
    return readings


def _recognized(engine: Any, crops: list[Pixels], turned: Sequence[bool]) -> list[_Reading]:
    found = engine.recognize_txt(crops)
    rows = zip(found.txts, found.scores, found.word_results, turned, strict=True)
    return [_Reading(float(score), _characters(text, word), flag) for text, score, word, flag in rows]


def _characters(text: str, layout: Any) -> tuple[tuple[str, float, float | None], ...]:
    """Give each character its score and place. RapidOCR lists scores for all characters, places (columns
    of the network's output) for all but spaces."""
    columns = iter([column for group in layout.word_cols for column in group])
    length = layout.line_txt_len or 1.0
    placed = []
    for character, score in zip(text, layout.confs, strict=False):
        place = None if character.isspace() else (next(columns) + 0.5) / length
        placed.append((character.translate(_HALF_WIDTH), float(score), place))
    return tuple(placed)


def _line(quad: Any, reading: _Reading, frame: Frame) -> Line:
    polygon = _reading_order(quad, frame, turned=reading.turned)
    places = [place for _, _, place in reading.characters if place is not None]
    steps = [right - left for left, right in itertools.pairwise(places)]
    half = (statistics.median(steps) if steps else 1.0) / 2
    words = tuple(_word(group, half, polygon) for group in _groups(reading))
    return Line(words, reading.score * 100, polygon)


def _groups(reading: _Reading) -> list[list[tuple[str, float, float]]]:
    """The characters between spaces."""
    groups: list[list[tuple[str, float, float]]] = [[]]
    for character, score, place in reading.characters:
        if place is None:
            groups.append([])
        else:
            groups[-1].append((character, score, place))
    return [group for group in groups if group]


def _word(group: list[tuple[str, float, float]], half: float, line: tuple[Point, ...]) -> Word:
    top_left, top_right, bottom_right, bottom_left = line
    start, end = max(0.0, group[0][2] - half), min(1.0, group[-1][2] + half)
    return Word(
        "".join(character for character, _, _ in group),
        100 * statistics.fmean(score for _, score, _ in group),
        (
            between(top_left, top_right, start),
            between(top_left, top_right, end),
            between(bottom_left, bottom_right, end),
            between(bottom_left, bottom_right, start),
        ),
    )


def _reading_order(quad: Any, frame: Frame, *, turned: bool) -> tuple[Point, ...]:
    """The corners as ratios, starting at the top left of the text as it is read.

    RapidOCR cuts out a line that is 1.5 times higher than wide with a quarter turn to the left, so its
    right edge becomes the top; the classifier may then turn it by half.
    """
    width, height = frame.size
    corners: list[Point] = [(float(x) / width, float(y) / height) for x, y in quad]
    across = int(max(_distance(quad[0], quad[1]), _distance(quad[2], quad[3])))
    down = int(max(_distance(quad[0], quad[3]), _distance(quad[1], quad[2])))
    first = (1 if down >= across * 1.5 else 0) + (2 if turned else 0)
    return tuple(corners[(first + offset) % 4] for offset in range(4))


def _area(quad: Any) -> float:
    """In square pixels."""
    return _distance(quad[0], quad[1]) * _distance(quad[1], quad[2])


def _distance(start: Any, end: Any) -> float:
    return float(((start - end) ** 2).sum() ** 0.5)
