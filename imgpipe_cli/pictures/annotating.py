"""Drawing what was found onto the picture: boxes, and names on plates that can be read on any background.

Needs Pillow, which the extra `photos` brings.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.system import file_io

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from shared.result_item import BoundingBox, ResultItem

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
"""Ending of a file -> its format, as Pillow names it."""

# Light and saturated, so each stands out from its black rim.
_COLORS = ("#ffd400", "#00e5ff", "#ff5ca8", "#7dff4d", "#ff9a3d", "#c79bff", "#ffffff", "#5fb4ff")
_RIM = "black"
# Stands in what we draw, before the pixels.
_OURS = b"Drawn by imgpipe"
_MARKED_WITHIN = 1024 * 1024
_LONGEST_NAME = 40
_LONGEST_FILE_NAME = 150
# Windows has no files of these names.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)

_Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class _Mark:
    """One thing that was found, and where. name: without its confidence."""

    name: str
    confidence: float
    box: _Box

    @property
    def text(self) -> str:
        return f"{_drawable(self.name)[:_LONGEST_NAME]} {self.confidence:.0f} %"


def check() -> None:
    """Raises Problem where Pillow is missing."""
    try:
        import PIL.ImageFont  # noqa: F401
    except ImportError as error:
        raise Problem(
            "pillow_missing",
            "Drawing on pictures needs Pillow, which is not installed.",
            hint="Install it from imgpipe's checkout: pipx install --force '.[photos]'",
        ) from error


def annotate(data: bytes, item: ResultItem, path: Path) -> int:
    """Draw the places in a result onto the picture and write that; how many they are.

    The picture is upright, as Rekognition saw it. path: its ending says the format. Raises Problem.
    """
    key = item["objectKey"]
    _refuse_others(path)
    size = functions.picture.measure(data)
    if isinstance(size, functions.picture.Size) and max(size.width, size.height) > functions.picture.MAX_SIDE:
        raise Problem("not_drawn", f"{key} is too large to draw on: {size.width} x {size.height} pixels.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own limits are lower than Rekognition's
            picture = _upright(data)
    except _DECODE_ERRORS as error:
        raise Problem("not_drawn", f"{key} cannot be read as a picture: {error}.") from error
    marks = list(_marks(item, picture.size))
    _draw(picture, marks)
    try:
        file_io.write(path, _encoded(picture, FORMATS[path.suffix.lower()]), mode=0o666)
    except OSError as error:
        raise Problem(
            "not_drawn",
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that exists, may be written to, and has room.",
        ) from error
    return len(marks)


def file_name(key: str, content_type: str | None, taken: Collection[str]) -> str:
    """A name for the picture of this key in one folder, on any system. taken: names, in small letters."""
    ending = ".png" if content_type == functions.picture.PNG else ".jpg"
    stem = re.sub(r"\.(jpe?g|png)$", "", key, flags=re.IGNORECASE)
    stem = re.sub(r"[^\w.,()@+= -]", "_", unicodedata.normalize("NFC", stem)).strip(". ") or "_"
    while len(stem.encode()) > _LONGEST_FILE_NAME:
        stem = stem[:-1]
    stem = f"_{stem}" if _DEVICES.match(stem) else stem
    name, number = f"{stem}{ending}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}{ending}"
    return name


def usage(message: str, hint: str) -> Problem:
    return Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)


def _refuse_others(path: Path) -> None:
    """Raise Problem for a file that we did not draw, such as the picture itself."""
    try:
        ours = not path.exists() or _OURS in file_io.read(path, at_most=_MARKED_WITHIN)
    except OSError:  # which writing it meets, too
        return
    if not ours:
        raise Problem(
            "file_exists",
            f"{path} exists, and imgpipe did not draw it; it was not touched.",
            hint="Choose another name, or another folder.",
        )


# --- the picture ---------------------------------------------------------------------------------


def _upright(data: bytes) -> Image:
    """The whole picture in RGB, turned as its EXIF data says."""
    from PIL import Image, ImageOps

    with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as opened:
        # Rekognition reads no EXIF data of PNGs.
        picture = ImageOps.exif_transpose(opened) if opened.format == "JPEG" else opened.copy()
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I"):  # 16 bits of gray, of which convert() would keep the lower ones
        picture = picture.point(lambda value: value / 256).convert("L")
    is_color = picture.mode in ("RGB", "RGBA", "P")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    picture = picture.convert("RGB")
    # A profile belongs to the colors that it was made for.
    picture.info = {"icc_profile": profile} if profile and is_color else {}
    return picture


def _encoded(picture: Image, kind: str) -> bytes:
    """With our mark, and without what else the original told: place, camera, owner."""
    from PIL.PngImagePlugin import PngInfo

    marked = PngInfo()
    marked.add_text("Comment", _OURS.decode())
    own: dict[str, Any] = (
        {"pnginfo": marked} if kind == "PNG" else {"quality": 92, "comment": _OURS, "progressive": False}
    )
    content = BytesIO()
    picture.save(content, kind, icc_profile=picture.info.get("icc_profile"), **own)
    return content.getvalue()


# --- what is drawn -------------------------------------------------------------------------------


def _marks(item: ResultItem, size: tuple[int, int]) -> Iterator[_Mark]:
    """Labels with places, faces where no label shows them, and lines of text."""
    shown: set[str] = set()
    for label in item.get("labels", []):
        for instance in label.get("Instances", []):
            shown.add(label["Name"])
            yield _Mark(label["Name"], instance["Confidence"], _pixels(instance["BoundingBox"], size))
    for face in item.get("faces", []) if "Face" not in shown else []:
        if "BoundingBox" in face:
            yield _Mark("Face", face["Confidence"], _pixels(face["BoundingBox"], size))
    for number, text in enumerate(item.get("text", []), start=1):
        box = text.get("Geometry", {}).get("BoundingBox")
        if box and text.get("Type", "LINE") == "LINE":
            name = _drawable(text["DetectedText"])
            yield _Mark(
                name if name.strip("? ") else f"Text {number}", text["Confidence"], _pixels(box, size)
            )


def _pixels(box: BoundingBox, size: tuple[int, int]) -> _Box:
    """Within the picture, at least one pixel wide and high."""
    width, height = size
    left, right = (min(max(at, 0.0), 1.0) * (width - 1) for at in (box["Left"], box["Left"] + box["Width"]))
    top, bottom = (min(max(at, 0.0), 1.0) * (height - 1) for at in (box["Top"], box["Top"] + box["Height"]))
    return left, top, max(right, left), max(bottom, top)


def _drawable(text: str) -> str:
    """With the letters that Pillow's own font has: accents fall away, all else that it lacks is a `?`."""
    plain = unicodedata.normalize("NFKD", text)
    letters = (char for char in plain if not unicodedata.combining(char))
    return "".join(char if " " <= char <= "~" else "?" for char in letters)


def _draw(picture: Image, marks: Sequence[_Mark]) -> None:
    from PIL import ImageDraw, ImageFont

    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    line = max(2, round(min(width, height) / 300))
    font = ImageFont.load_default(max(12, round(min(width, height) / 36)))
    names = list(dict.fromkeys(mark.name for mark in marks))
    colors = {name: _COLORS[place % len(_COLORS)] for place, name in enumerate(names)}
    for mark in marks:
        _frame(draw, mark.box, line, colors[mark.name])
    plates: list[_Box] = []
    for mark in marks:
        plate = _place(draw, mark, font, line, plates, picture.size)
        plates.append(plate)
        draw.rectangle(plate, fill=_RIM, outline=colors[mark.name], width=max(1, line // 2))
        draw.text((plate[0] + 2 * line, plate[1] + line), mark.text, fill="white", font=font)


def _frame(draw: ImageDraw, box: _Box, line: int, color: str) -> None:
    """A light line between two black ones: one of them stands out from any background."""
    rim = max(1, line // 2)
    left, top, right, bottom = box
    draw.rectangle((left - rim, top - rim, right + rim, bottom + rim), outline=_RIM, width=line + 2 * rim)
    draw.rectangle(box, outline=color, width=line)


def _place(
    draw: ImageDraw, mark: _Mark, font: Any, line: int, others: Sequence[_Box], size: tuple[int, int]
) -> _Box:
    """Where the plate of a name goes: above its box, in it, or below; then lower, until it hides no other."""
    _, _, right, bottom = draw.textbbox((0, 0), mark.text, font=font)
    width, height = right + 4 * line, bottom + 3 * line
    left = max(0.0, min(mark.box[0], size[0] - 1 - width))
    room = max(0.0, size[1] - 1 - height)
    tops = [mark.box[1] - height, mark.box[1] + line, mark.box[3], *range(0, int(room), max(1, int(height)))]
    plates = [(left, top, left + width, top + height) for top in tops if 0 <= top <= room]
    free = (plate for plate in plates if not any(_overlap(plate, other) for other in others))
    top = min(max(mark.box[1], 0.0), room)
    return next(free, (left, top, left + width, top + height))


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
