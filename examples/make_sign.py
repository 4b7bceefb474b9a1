"""Draw sign.png, the sample picture with text: python examples/make_sign.py [FILE]."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

LINES = (
    "Harbour Street Books",
    "Receipt No. 20417",
    "3 paperbacks 24.60 EUR",
    "1 city map 6.95 EUR",
    "Total paid 31.55 EUR",
)


def draw(path: Path) -> None:
    """White, 900 x 600 pixels, in Pillow's own font; 16 greys keep the file small."""
    sign = Image.new("L", (900, 600), 255)
    pen = ImageDraw.Draw(sign)
    for index, line in enumerate(LINES):
        pen.text(
            (60, 45 + index * 108), line, font=ImageFont.load_default(size=60 if index == 0 else 48), fill=20
        )
    sign.quantize(16).save(path, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sign.png"))
