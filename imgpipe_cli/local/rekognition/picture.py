"""From the bytes of a picture to pixels of bounded size: formats, limits and orientation.

Owns everything that can go wrong with a picture. Nothing is decoded before the header has passed the
limits, so that a file of 100 KB that claims 30,000 x 30,000 pixels costs neither time nor memory.
"""

from __future__ import annotations

import math
import struct
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin, PngImagePlugin

from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.local.rekognition.errors import invalid_format, invalid_parameter, too_large
from imgpipe_cli.local.rekognition.essence import JPEG_END, PNG_START, Essence, TooManyParts, essence

Pixels = npt.NDArray[np.uint8]

MIN_SIDE = 80
MAX_SIDE = 10_000

# Text is found in 960 pixels and read from this, as are small faces; more pixels cost memory only.
FRAME_PIXELS = 4_000_000
FRAME_SIDE = 4_000

# The networks see 128 to 416 pixels a side, and text as large as a caption is located in so many.
REDUCED_SIDE = 640

# What a decoder may hold for one picture. Rekognition takes 10,000 x 10,000 pixels; as an RGB PNG or as a
# progressive JPEG that is 400 to 600 MB here, more than the whole local cloud may use. Baseline JPEGs decode
# reduced and always fit.
MAX_DECODED_BYTES = 152 * 1024 * 1024
LARGE_BYTES = 48_000_000

# Encoders write about ten scans; each one costs a pass over the whole picture, so thousands are an attack.
MAX_SCANS = 100

# Pillow reads once or more for each segment, chunk or byte of filler: so many are an attack, too.
MAX_READS = 300_000

# As no picture goes on; without an FF, which would begin a marker.
_NOISE = bytes(number * 89 % 255 for number in range(2000))

_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2}
_STRIP_PIXELS = 1_000_000
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


@dataclass(frozen=True, eq=False)
class Frame:
    """The upright picture as BGR pixels, at most about FRAME_PIXELS of them and FRAME_SIDE a side."""

    pixels: Pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.pixels.shape[:2]
        return width, height

    @cached_property
    def reduced(self) -> Frame:
        """The whole picture with at most REDUCED_SIDE pixels a side: made once, for all models."""
        ratio = REDUCED_SIDE / max(self.size)
        if ratio >= 1:
            return self
        width, height = (max(1, round(side * ratio)) for side in self.size)
        return Frame(resized(self.pixels, (width, height)))


def decode(data: bytes, heavy: AbstractContextManager[object]) -> Frame:
    """Read a JPEG or PNG; raises Refusal for anything Rekognition would refuse, and for our own bounds.

    Transparent pixels are seen on white, as in a viewer. EXIF orientation is applied to JPEGs and, as on
    AWS, not to PNGs. heavy is held while a large picture is decoded: what needs much memory takes turns.
    """
    try:
        found = essence(data)
    except TooManyParts as error:
        raise invalid_format(f"{error}.") from error
    if found.scans > MAX_SCANS:
        raise invalid_format(f"{found.scans} scans, at most {MAX_SCANS}.")
    if found.whole:
        return _frame(found, heavy)
    # Complete but for its end, what follows its data changes no pixel; cut off, it is taken for pixels.
    begun = found.data.rstrip(b"\xff")
    frame = _frame(replace(found, data=begun + JPEG_END), heavy)
    noisy = _frame(replace(found, data=begun + _NOISE + JPEG_END), heavy)
    if not np.array_equal(frame.pixels, noisy.pixels):
        raise invalid_format("the file is cut off.")
    return frame


def _frame(found: Essence, heavy: AbstractContextManager[object]) -> Frame:
    picture = _opened(found.data)
    _check_sides(*picture.size)
    shrink = max(1, math.isqrt(picture.width * picture.height // FRAME_PIXELS))
    orientation, held = 1, 0
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        orientation = functions.orientation.of_jpeg(found.data)
        held = 0 if found.at_once else _coefficient_bytes(picture)
        # libjpeg decodes at 1/2, 1/4 or 1/8 for a fraction of the time and memory.
        picture.draft(None, (picture.width // shrink, picture.height // shrink))
    held += picture.width * picture.height * _BYTES_PER_PIXEL.get(picture.mode, 4)
    size_text = functions.picture.size_text
    if held > MAX_DECODED_BYTES:
        raise too_large(
            f"decoding it takes {size_text(held)}, the local Rekognition allows "
            f"{size_text(MAX_DECODED_BYTES)} (AWS documents no such limit)."
        )
    with heavy if held > LARGE_BYTES else nullcontext():
        pixels = _loaded(picture)
    return Frame(np.ascontiguousarray(_upright(_bounded(pixels), orientation)))


def _opened(data: bytes) -> PngImagePlugin.PngImageFile | JpegImagePlugin.JpegImageFile:
    """Read the header alone. The classes are used directly: Image.open has a pixel limit of its own, a
    global one that warns, and would take further formats."""
    try:
        # Pillow takes a file whose first chunk is another one, such as those optimized for iPhone apps.
        if data.startswith(PNG_START) and data[12:16] == b"IHDR":
            return PngImagePlugin.PngImageFile(_Bounded(data))
        if data.startswith(b"\xff\xd8\xff"):
            return JpegImagePlugin.JpegImageFile(_Bounded(data))
    except _DECODE_ERRORS as error:
        raise invalid_format(f"the header cannot be read ({error}).") from error
    raise invalid_format("not a JPEG or PNG file.")


class _Bounded(BytesIO):
    """A file that is not read in ever so many small pieces."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise OSError("it consists of too many pieces")
        return super().read(size)


def _check_sides(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise too_large(f"{width} x {height} pixels, at most {MAX_SIDE} on each side.")
    if min(width, height) < MIN_SIDE:
        # Which code AWS uses for small pictures is not documented; this one is permanent in any case.
        raise invalid_parameter(
            f"the picture has {width} x {height} pixels, at least {MIN_SIDE} on each side."
        )


def _coefficient_bytes(picture: JpegImagePlugin.JpegImageFile) -> int:
    """libjpeg keeps all coefficients, at full size and 2 bytes each, of a JPEG in several scans."""
    across = max((h for _, h, _, _ in picture.layer), default=1) or 1
    down = max((v for _, _, v, _ in picture.layer), default=1) or 1
    share = sum(h * v for _, h, v, _ in picture.layer) / (across * down)
    return int(picture.width * picture.height * share * 2)


def _loaded(picture: Image.Image) -> Pixels:
    """Decode, and bring every mode to BGR in strips, so that only the reduced picture exists in full."""
    try:
        picture.load()
        shrink = max(1, math.isqrt(picture.width * picture.height // FRAME_PIXELS))
        pixels = np.empty((-(-picture.height // shrink), -(-picture.width // shrink), 3), np.uint8)
        rows = shrink * max(1, _STRIP_PIXELS // (picture.width * shrink))
        for top in range(0, picture.height, rows):
            bottom = min(picture.height, top + rows)
            strip = _rgb(picture.crop((0, top, picture.width, bottom)))
            reduced = np.asarray(strip.reduce(shrink) if shrink > 1 else strip)
            pixels[top // shrink : top // shrink + len(reduced)] = reduced[..., ::-1]
    except _DECODE_ERRORS as error:
        raise invalid_format(f"the file is damaged or incomplete ({error}).") from error
    return pixels


def _rgb(picture: Image.Image) -> Image.Image:
    """Any mode as RGB: 16 bits keep their high byte, transparency lies on white."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def _bounded(pixels: Pixels) -> Pixels:
    """Shrink by whole numbers left up to four times too much; the rest is done here."""
    height, width = pixels.shape[:2]
    ratio = min(math.sqrt(FRAME_PIXELS / (width * height)), FRAME_SIDE / max(width, height))
    if ratio >= 1:
        return pixels
    return resized(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio))))


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The pixels at another (width, height), averaged, which keeps thin strokes."""
    import cv2

    smaller: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return smaller


def grey_of_at_most(frame: Frame, pixels: int) -> Pixels:
    """The frame's brightness, with at most about that many pixels."""
    import cv2

    grey: Pixels = cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY)
    width, height = frame.size
    if width * height <= pixels:
        return grey
    ratio = math.sqrt(pixels / (width * height))
    return resized(grey, (max(1, round(width * ratio)), max(1, round(height * ratio))))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo what EXIF says the camera did: mirrored for 2, 4, 5 and 7, then turned."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    quarter_turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]
    turned: Pixels = np.rot90(pixels, quarter_turns)
    return turned
