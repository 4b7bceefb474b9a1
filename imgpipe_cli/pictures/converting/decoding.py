"""A picture of any kind as upright pixels: 8 bits, RGB, the colors of sRGB. Runs in a worker process only.

Libraries open just the format that the first bytes show, and nothing is decoded before its size is known.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.converting import kinds
from imgpipe_cli.pictures.converting.raw_preview import NoPreview, preview

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_SIDE = functions.picture.MAX_SIDE
_WHITE = (255, 255, 255)
# The rounds that EXIF's orientations stand for; 1 is upright.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class NotDecoded(Exception):
    """Why a picture cannot be converted; code: as of a refusal."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Decoded:
    """is_smaller: it had more pixels."""

    image: Image
    is_smaller: bool


def decoded(file: BinaryIO, kind: str, before: Callable[[int], object] = lambda _pixels: None) -> Decoded:
    """The picture in a file; its first one where there are several.

    before: called with the number of pixels, before so many are decoded. Raises NotDecoded.
    """
    turned = None
    if kind in kinds.RAW:
        try:
            found = preview(file, kind)
        except NoPreview as error:
            reason = "this RAW file holds no preview that can be read"
            raise NotDecoded("no_preview", reason) from error
        file, kind, turned = io.BytesIO(found.jpeg), kinds.JPEG, found.orientation
    try:
        image = _opened(file, kind)
        _check_pixels(image.width * image.height)
        before(image.width * image.height)
        return _upright(image, turned)
    except NotDecoded:
        raise
    except MemoryError as error:
        raise NotDecoded("too_many_pixels", "there is not enough memory to decode it") from error
    except Exception as error:  # each format's code raises what it likes for a damaged file
        raise NotDecoded("corrupt", _reason(error)) from error


def _opened(file: BinaryIO, kind: str) -> Image:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # our own limit is checked, before anything is decoded
    if kind == kinds.HEIC:
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False)
    name = {kinds.HEIC: "HEIF", "WebP": "WEBP"}.get(kind, kind)
    return Image.open(file, formats=[name])


def _check_pixels(pixels: int) -> None:
    if pixels > kinds.MAX_PIXELS:
        most = f"imgpipe converts up to {kinds.MAX_PIXELS // 10**6} million"
        raise NotDecoded("too_many_pixels", f"it has {pixels / 1e6:,.0f} million pixels; {most}")


def _upright(image: Image, turned: int | None) -> Decoded:
    """turned: the orientation that the file around it tells."""
    from PIL import Image

    size = image.size
    scale = _MAX_SIDE / max(size)
    if scale < 1:
        # A JPEG can be decoded in a half or a quarter of its size; all others ignore it.
        image.draft(image.mode, (round(size[0] * scale), round(size[1] * scale)))
    image.load()
    # Read only now: a TIFF has been turned by now, and says so.
    turned = _own_orientation(image) if turned is None else turned
    profile = image.info.get("icc_profile")
    if scale < 1:
        image = _eight_bits(image)
        image.thumbnail((_MAX_SIDE, _MAX_SIDE), reducing_gap=2.0)
    rgb = _srgb(_eight_bits(image), profile)
    if turn := _TURNS.get(turned):
        rgb = rgb.transpose(Image.Transpose[turn])
    return Decoded(rgb, scale < 1)


def _own_orientation(image: Image) -> int:
    """As its EXIF says. XMP is not asked: no viewer turns a picture for it."""
    block = bytes(image.info.get("exif") or b"")
    return functions.orientation.of_exif(block.removeprefix(functions.jpeg_parts.EXIF))


def _eight_bits(image: Image) -> Image:
    """In a mode of 8 bits a channel, without transparency: that shows white."""
    from PIL import Image

    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        wide = image.convert("I")
        if not all(0 <= value <= 65_535 for value in wide.getextrema() if not isinstance(value, tuple)):
            raise NotDecoded("unsupported_format", "its pixels have 32 bits, which imgpipe does not convert")
        return wide.point(lambda value: value * (1 / 256)).convert("L")
    if mode == "F":
        raise NotDecoded("unsupported_format", "its pixels are fractions, which imgpipe does not convert")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        ground = Image.new("RGB", image.size, _WHITE)
        ground.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return ground
    return image if mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")


def _srgb(image: Image, profile: Any) -> Image:
    """In sRGB. A profile that is damaged, or that does not fit the pixels, is as none."""
    from PIL import ImageCms

    if profile:
        try:
            from_profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" in ImageCms.getProfileDescription(from_profile) and image.mode == "RGB":
                return image
            to_profile = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, from_profile, to_profile, outputMode="RGB")
            assert converted is not None  # only where it is done in place
            return converted
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            pass
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """In a few printable words, without where the file lies."""
    if type(error).__name__ in ("UnidentifiedImageError", "KeyError"):
        return "it is damaged, or the installed Pillow does not read its format"
    words = " ".join(str(error).split())[:120]
    told = words if words.isprintable() and "/" not in words and words else type(error).__name__
    return f"it is damaged ({told})"
