"""Reading a request: what is asked for, checked as Rekognition checks it.

Ranges and members are those of the service model of 2016-06-27. A value of the wrong type or out of range is
an InvalidParameterException here; for a few of them AWS's own choice of code is not documented.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.rekognition.errors import invalid_parameter, too_large, unreadable_object

MAX_INLINE_BYTES = 5_242_880
MAX_OBJECT_BYTES = 15_728_640

ReadObject = Callable[[str, str, str | None], bytes]
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where the picture is: its bytes in the request, or an object (bucket, key, version)."""

    inline: bytes | None
    s3_object: tuple[str, str, str | None] | None


@dataclass(frozen=True)
class Upload:
    """The bytes of a picture and the name under which their analysis is kept."""

    data: bytes
    digest: str


def source(request: Fields) -> Source:
    """The picture's place in a request; nothing is fetched yet."""
    image = member(request, "Image")
    inline, s3_object = image.get("Bytes"), image.get("S3Object")
    if (inline is None) == (s3_object is None):
        raise invalid_parameter("Image must have either Bytes or S3Object.")
    if s3_object is not None:
        place = member(image, "S3Object")
        return Source(None, (_text(place, "Bucket"), _text(place, "Name"), _optional_text(place, "Version")))
    return Source(_decoded(inline), None)


def fetched(place: Source, read_object: ReadObject) -> Upload:
    """The picture's bytes, within the limit of the way they came."""
    if place.s3_object is None:
        data, limit = place.inline or b"", MAX_INLINE_BYTES
    else:
        try:
            data, limit = read_object(*place.s3_object), MAX_OBJECT_BYTES
        except (KeyError, PermissionError) as error:
            raise unreadable_object() from error
    if len(data) > limit:
        raise too_large(f"{len(data)} bytes, at most {limit}.")
    return Upload(data, hashlib.sha256(data).hexdigest())


def member(holder: Fields, name: str) -> Fields:
    """A structure that must be there."""
    found = optional_member(holder, name)
    if found is None:
        raise invalid_parameter(f"{name} is missing.")
    return found


def optional_member(holder: Fields, name: str) -> Fields | None:
    found = holder.get(name)
    if found is not None and not isinstance(found, dict):
        raise invalid_parameter(f"{name} must be a structure.")
    return found


def items(holder: Fields, name: str, *, most: int) -> list[Any]:
    """A list, empty where it is missing."""
    found = holder.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > most:
        raise invalid_parameter(f"{name} must be a list of at most {most}.")
    return found


def names(holder: Fields, name: str) -> frozenset[str]:
    found = items(holder, name, most=100)
    if not all(isinstance(entry, str) for entry in found):
        raise invalid_parameter(f"{name} must hold strings.")
    return frozenset(found)


def choices(holder: Fields, name: str, allowed: frozenset[str]) -> frozenset[str]:
    """A list of enumerated values."""
    found = names(holder, name)
    if not found <= allowed:
        raise invalid_parameter(f"{name} may hold {', '.join(sorted(allowed))}.")
    return found


def number(holder: Fields, name: str, default: float, *, least: float = 0, most: float = 100) -> float:
    found = holder.get(name)
    if found is None:
        return default
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
        raise invalid_parameter(f"{name} must be a number from {least:g} to {most:g}.")
    return float(found)


def whole(holder: Fields, name: str, default: int, *, most: int = 2**31 - 1) -> int:
    found = number(holder, name, default, most=most)
    if found != int(found):
        raise invalid_parameter(f"{name} must be a whole number.")
    return int(found)


def _text(holder: Fields, name: str) -> str:
    found = _optional_text(holder, name)
    if found is None:
        raise invalid_parameter(f"{name} is missing.")
    return found


def _optional_text(holder: Fields, name: str) -> str | None:
    found = holder.get(name)
    if found is not None and (not isinstance(found, str) or not found):
        raise invalid_parameter(f"{name} must be a string of at least one character.")
    return found


def _decoded(text: object) -> bytes:
    if not isinstance(text, str) or not text:
        raise invalid_parameter("Bytes must be base64 text.")
    if len(text) // 4 * 3 > MAX_INLINE_BYTES + 3:
        raise too_large(f"more than {MAX_INLINE_BYTES} bytes.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_parameter("Bytes must be base64 text.") from error
