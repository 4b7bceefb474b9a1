"""The `min_confidence` of a request."""

from __future__ import annotations

import math

from shared.http_api import ApiError


def min_confidence(text: str | None) -> float | None:
    """0 to 100, None where it was not asked for. Raises ApiError 400 `invalid_min_confidence`."""
    if text is None:
        return None
    try:
        # Python also reads "1_0" and digits of other scripts.
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:  # false for NaN too
        raise ApiError(400, "invalid_min_confidence", "min_confidence is a number from 0 to 100.")
    return number
