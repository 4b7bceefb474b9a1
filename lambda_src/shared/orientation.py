"""How a picture is to be turned: the orientation in its EXIF data. Pure, and standard library only.

Rekognition turns a JPEG so before it looks, and its boxes are those of the upright picture. It reads no
EXIF data of PNGs.
"""

from __future__ import annotations

from . import jpeg_parts
from .tiff_tags import ORIENTATION, Tags, first_directory, number

UPRIGHT = 1
SIDEWAYS = frozenset({5, 6, 7, 8})
"""With these, width and height of the upright picture are height and width in the file."""


def of_jpeg(head: bytes) -> int:
    """1 to 8 as EXIF counts; 1 where the first bytes tell nothing, or nothing that is one."""
    return of_exif(jpeg_parts.exif(head))


def of_exif(block: bytes) -> int:
    """block: its TIFF structure, or anything else."""
    return of_tags(first_directory(block))


def of_tags(tags: Tags) -> int:
    value = number(tags, ORIENTATION)
    return value if UPRIGHT <= value <= max(SIDEWAYS) else UPRIGHT
