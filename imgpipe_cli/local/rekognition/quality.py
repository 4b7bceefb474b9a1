"""Brightness, sharpness and contrast, each from 0 to 100.

AWS does not publish its formulas; these scales are ours: brightness is the mean luminance, contrast its
standard deviation (100 for half black and half white), sharpness a saturating curve over the deviation of the
Laplacian, on which a blurred clock has 24 and printed text 83 to 99.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from imgpipe_cli.local.rekognition.picture import Frame, grey_of_at_most

# Sharpness depends on the scale; all pictures are judged at about the size of a screen.
_JUDGED_PIXELS = 1_000_000
_SHARPNESS_SCALE = 18.0


@dataclass(frozen=True)
class Quality:
    brightness: float
    sharpness: float
    contrast: float


def quality_of(frame: Frame) -> Quality:
    import cv2

    grey = grey_of_at_most(frame, _JUDGED_PIXELS)
    deviation = math.sqrt(float(cv2.Laplacian(grey, cv2.CV_32F).var()))
    return Quality(
        brightness=float(grey.mean()) / 2.55,
        sharpness=100 * (1 - math.exp(-deviation / _SHARPNESS_SCALE)),
        contrast=min(100.0, float(grey.std()) / 1.275),
    )
