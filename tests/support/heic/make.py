"""How the files beside this one were made: `python -m tests.support.heic.make`, with libheif's heif-enc 1.15.

examples/cat.jpg, small, as HEIC in the eight ways in which a phone may store it. Each is turned upright by
`irot` and `imir`, which heif-enc does not write, and has the EXIF orientation that says the same once more,
as phones write it: whoever turns by both turns twice. No package of ours can encode HEIC.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

HERE = Path(__file__).parent
CAT = HERE.parents[2] / "examples" / "cat.jpg"
_WAYS = Image.Transpose
# EXIF orientation -> how the upright picture is stored, quarter turns to the left, and the axis of a mirror.
STORED: dict[int, tuple[Image.Transpose | None, int, int | None]] = {
    1: (None, 0, None),
    2: (_WAYS.FLIP_LEFT_RIGHT, 0, 1),
    3: (_WAYS.ROTATE_180, 2, None),
    4: (_WAYS.FLIP_TOP_BOTTOM, 0, 0),
    5: (_WAYS.TRANSPOSE, 1, 0),
    6: (_WAYS.ROTATE_90, 3, None),
    7: (_WAYS.TRANSVERSE, 1, 1),
    8: (_WAYS.ROTATE_270, 1, None),
}


def turned(upright: Image.Image, orientation: int) -> Image.Image:
    """The pixels as they are stored by somebody who writes this orientation beside them."""
    way = STORED[orientation][0]
    return upright if way is None else upright.transpose(way)


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def _with_turn(heic: bytes, quarters: int, axis: int | None) -> bytes:
    """With the two properties, as those of item 1; all places behind them move on."""
    boxes = _box(b"irot", bytes([quarters])) if quarters else b""
    boxes += _box(b"imir", bytes([axis])) if axis is not None else b""
    count = bool(quarters) + (axis is not None)
    if not count:
        return heic
    longer = len(boxes) + count
    data = bytearray(heic)

    def grow(name: bytes, by: int) -> int:
        at = data.index(name) - 4
        (size,) = struct.unpack_from(">I", data, at)
        struct.pack_into(">I", data, at, size + by)
        return at

    for name in (b"meta", b"iprp"):
        grow(name, longer)
    iloc = data.index(b"iloc")
    # Version 0, four bytes for places, none for the base's index: see the count of its items.
    (items,) = struct.unpack_from(">H", data, iloc + 10)
    for item in range(items):
        at = iloc + 12 + item * 18 + 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + longer)
    ipma = grow(b"ipma", count)
    ipco = grow(b"ipco", len(boxes))
    (size,) = struct.unpack_from(">I", data, ipco)
    known = _children(bytes(data[ipco + 8 : ipco + size - len(boxes)]))
    # Entry count, item, and its associations: each a byte, with a bit for what must be understood.
    at = ipma + 8 + 4 + 4 + 2
    have = data[at]
    data[at] += count
    data[at + 1 + have : at + 1 + have] = bytes(0x80 | (known + 1 + number) for number in range(count))
    data[ipco + size - len(boxes) : ipco + size - len(boxes)] = boxes
    return bytes(data)


def _children(content: bytes) -> int:
    at = count = 0
    while at < len(content):
        at += struct.unpack_from(">I", content, at)[0]
        count += 1
    return count


def main() -> None:
    cat = Image.open(CAT).convert("RGB")
    cat.thumbnail((240, 240))
    for orientation, (_, quarters, axis) in STORED.items():
        with TemporaryDirectory() as folder:
            jpeg, heic = Path(folder, "cat.jpg"), Path(folder, "cat.heic")
            exif = Image.Exif()
            exif[0x0112] = orientation
            turned(cat, orientation).save(jpeg, quality=97, subsampling=0, exif=exif)
            subprocess.run(["heif-enc", "-q", "45", str(jpeg), "-o", str(heic)], check=True)
            made = _with_turn(heic.read_bytes(), quarters, axis)
        (HERE / f"turned-{orientation}.heic").write_bytes(made)


if __name__ == "__main__":
    main()
