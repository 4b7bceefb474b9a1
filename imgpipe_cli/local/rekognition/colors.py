"""Dominant colors, named by the CSS colors and by the twelve simple names that Rekognition groups them in.

A recorded answer of the service holds the CSS color's own red, green and blue, so the pixels are counted by
their nearest CSS color (in CIE Lab, where distance is what the eye sees). Which CSS color AWS puts under
which simple name is not published (black, grey and green were seen); the groups below are our own reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from imgpipe_cli.local.rekognition.picture import Frame, Pixels

DEFAULT_COLORS = 10
MAX_COLORS = 20

# Pixels are picked, not averaged: an average of two colors is a third one that is not in the picture.
_SAMPLES = 40_000
_CHUNK = 1_000

# Below this share a color is noise of the JPEG or an edge, not dominant.
_LEAST_PERCENT = 1.0

SIMPLE = {
    "black": "black",
    "grey": "dimgrey grey darkgrey silver lightgrey gainsboro slategrey lightslategrey darkslategrey",
    "white": "white whitesmoke snow honeydew mintcream azure aliceblue ghostwhite seashell beige oldlace "
    "floralwhite ivory antiquewhite linen lavenderblush mistyrose",
    "pink": "pink lightpink hotpink deeppink palevioletred mediumvioletred",
    "red": "lightsalmon salmon darksalmon lightcoral indianred crimson firebrick darkred red",
    "orange": "orangered tomato coral darkorange orange",
    "yellow": "yellow lightyellow lemonchiffon lightgoldenrodyellow papayawhip moccasin peachpuff "
    "palegoldenrod khaki darkkhaki gold",
    "brown": "cornsilk blanchedalmond bisque navajowhite wheat burlywood tan rosybrown sandybrown goldenrod "
    "darkgoldenrod peru chocolate saddlebrown sienna brown maroon",
    "green": "darkolivegreen olive olivedrab yellowgreen limegreen lime lawngreen chartreuse greenyellow "
    "springgreen mediumspringgreen lightgreen palegreen darkseagreen mediumseagreen seagreen forestgreen "
    "green darkgreen",
    "cyan": "mediumaquamarine cyan lightcyan paleturquoise aquamarine turquoise mediumturquoise "
    "darkturquoise lightseagreen cadetblue darkcyan teal",
    "blue": "lightsteelblue powderblue lightblue skyblue lightskyblue deepskyblue dodgerblue cornflowerblue "
    "steelblue royalblue blue mediumblue darkblue navy midnightblue",
    "purple": "lavender thistle plum violet orchid magenta mediumorchid mediumpurple blueviolet darkviolet "
    "darkorchid darkmagenta purple rebeccapurple indigo darkslateblue slateblue mediumslateblue",
}


@dataclass(frozen=True)
class _Palette:
    css: tuple[str, ...]
    simple: tuple[str, ...]
    rgb: tuple[tuple[int, int, int], ...]
    lab: npt.NDArray[np.float32]


@cache
def _palette() -> _Palette:
    pairs = [(css, simple) for simple, group in SIMPLE.items() for css in group.split()]
    values = [ImageColor.getrgb(css) for css, _ in pairs]
    rgb = tuple((value[0], value[1], value[2]) for value in values)
    return _Palette(
        css=tuple(css for css, _ in pairs),
        simple=tuple(simple for _, simple in pairs),
        rgb=rgb,
        lab=_lab(np.asarray(rgb, np.uint8)[:, ::-1]),
    )


def dominant_colors(frame: Frame) -> tuple[dict[str, Any], ...]:
    """At most MAX_COLORS of Rekognition's DominantColor, the largest share first."""
    palette = _palette()
    every = max(1, round((frame.pixels.shape[0] * frame.pixels.shape[1] / _SAMPLES) ** 0.5))
    samples = _lab(frame.pixels[::every, ::every].reshape(-1, 3))
    counts = np.zeros(len(palette.css), np.int64)
    for start in range(0, len(samples), _CHUNK):
        # Sums, not a matrix product: BLAS would start threads of its own.
        apart = sum(
            (samples[start : start + _CHUNK, axis, None] - palette.lab[None, :, axis]) ** 2
            for axis in range(3)
        )
        counts += np.bincount(np.argmin(apart, axis=1), minlength=len(counts))
    order = np.argsort(-counts, kind="stable")[:MAX_COLORS]
    shares = [(int(index), 100 * float(counts[index]) / len(samples)) for index in order]
    return tuple(_wire(palette, index, share) for index, share in shares if share >= _LEAST_PERCENT)


def _lab(bgr: Pixels) -> npt.NDArray[np.float32]:
    import cv2

    scaled = (np.ascontiguousarray(bgr).astype(np.float32) / 255)[None]
    converted: npt.NDArray[np.float32] = cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB)[0]
    return converted


def _wire(palette: _Palette, index: int, percent: float) -> dict[str, Any]:
    red, green, blue = palette.rgb[index]
    return {
        "Red": red,
        "Green": green,
        "Blue": blue,
        "HexCode": f"#{red:02x}{green:02x}{blue:02x}",
        "CSSColor": palette.css[index],
        "SimplifiedColor": palette.simple[index],
        "PixelPercent": round(percent, 4),
    }
