"""QR codes. One counts only when its content could be decoded: its own error correction has agreed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.rekognition.geometry import Box, box_around
from imgpipe_cli.local.rekognition.picture import FRAME_PIXELS, Frame, Pixels, grey_of_at_most
from imgpipe_cli.local.rekognition.vision import opencv

# The decoder has no score. A chance agreement of the error correction is far rarer than one in a hundred.
CONFIDENCE = 99.0

# The smallest code has 21 modules and a margin of 4 on each side, at 2 pixels each. The detector enlarges
# narrower pictures to 512 pixels, which took a second and 190 MB for a strip of 4000 x 32.
_LEAST_SIDE = 58


@dataclass(frozen=True)
class Code:
    box: Box


def find_codes(frame: Frame, threads: int) -> tuple[Code, ...]:
    cv2 = opencv(threads)
    width, height = frame.size
    if min(width, height) < _LEAST_SIDE:
        return ()
    quads = _quads(cv2, grey_of_at_most(frame, FRAME_PIXELS))
    return tuple(Code(box_around([(float(x) / width, float(y) / height) for x, y in quad])) for quad in quads)


def _quads(cv2: Any, grey: Pixels) -> list[Any]:
    """The corners of the codes that could be decoded. Looking for several misses some lone ones that looking
    for one finds, so that comes second."""
    try:
        _, texts, corners, _ = cv2.QRCodeDetector().detectAndDecodeMulti(grey)
        if any(texts):
            return [quad for text, quad in zip(texts, corners, strict=True) if text]
        text, corners, _ = cv2.QRCodeDetector().detectAndDecode(grey)
        return [corners[0]] if text else []
    except cv2.error:  # it asserts on some patterns that are no code
        return []
