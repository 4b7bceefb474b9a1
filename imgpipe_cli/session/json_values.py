"""The values of a JSON object that somebody else may have written: each is checked before it is used.

Each check returns its value or raises ValueError, which says what the value is not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

Value = TypeVar("Value")


def document(text: str, version: int) -> dict[str, Any]:
    """Of this version. Raises ValueError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"they are no JSON ({error})") from error
    except RecursionError:
        raise ValueError("they are nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("they are no JSON object")
    if (told := found.get("version")) != version:
        raise ValueError(f"version is {json.dumps(told)}, not {version}")
    return found


def read(document: Mapping[str, Any], name: str, check: Callable[[Any], Value], *default: Value) -> Value:
    """One value; `default` where it is missing. Raises ValueError, which names it."""
    if name not in document:
        if default:
            return default[0]
        raise ValueError(f"{name} is missing")
    try:
        return check(document[name])
    except ValueError as error:
        raise ValueError(f"{name} is {json.dumps(document[name])}, {error}") from error


def _is_number(value: Any, least: float, most: float) -> bool:
    # A bool is an int to Python; NaN is neither below nor above any limit.
    return not isinstance(value, bool) and isinstance(value, int | float) and least <= value <= most


def is_percent(value: Any) -> bool:
    return _is_number(value, 0, 100)


def number(most: float, value: Any) -> float:
    """From 0 on."""
    if not _is_number(value, 0, most):
        raise ValueError(f"not a number from 0 to {most:g}")
    return float(value)


def whole_number(most: int, value: Any) -> int:
    """From 0 on."""
    if not isinstance(value, int) or not _is_number(value, 0, most):
        raise ValueError(f"not a whole number from 0 to {most}")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def day(value: Any) -> str:
    """A date, or the empty text."""
    with contextlib.suppress(ValueError):
        if value == "" or (isinstance(value, str) and date.fromisoformat(value).isoformat() == value):
            return str(value)
    raise ValueError("not a date such as 2026-11-22")


def one_of(known: tuple[str, ...], value: Any) -> str:
    if value not in known:
        raise ValueError(f"not one of {', '.join(map(json.dumps, known))}")
    return str(value)
