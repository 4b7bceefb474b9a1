"""Upright pixels as a JPEG that Rekognition takes: with the highest quality that fits into its limits."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from imgpipe_cli.lambdas import source as functions

if TYPE_CHECKING:
    from PIL.Image import Image

BEST_QUALITY, LEAST_QUALITY = 95, 50
_SHRINK = 0.7


def encoded(image: Image, max_bytes: int = functions.picture.MAX_BYTES) -> bytes:
    """A JPEG without any metadata. Where even the least quality does not fit, it gets smaller."""
    image.info.clear()  # a comment would be written, too
    while True:
        found = _best(image, max_bytes)
        if found is not None:
            return found
        image = image.resize((round(image.width * _SHRINK), round(image.height * _SHRINK)), reducing_gap=2.0)


def _best(image: Image, max_bytes: int) -> bytes | None:
    found = _jpeg(image, BEST_QUALITY)
    if len(found) <= max_bytes:
        return found
    best = None
    low, high = LEAST_QUALITY, BEST_QUALITY - 1
    while low <= high:
        quality = (low + high) // 2
        found = _jpeg(image, quality)
        if len(found) <= max_bytes:
            best, low = found, quality + 1
        else:
            high = quality - 1
    return best


def _jpeg(image: Image, quality: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return content.getvalue()
