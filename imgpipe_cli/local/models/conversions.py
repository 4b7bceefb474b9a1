"""How the file that is kept is made from the one in a wheel. The outcome is checked by its own hash."""

from __future__ import annotations

# Field 14 of an ONNX model, its metadata: the number of the field, and that it has a length.
_METADATA = 14 << 3 | 2


def as_it_is(member: bytes) -> bytes:
    return member


def without_metadata(onnx: bytes) -> bytes:
    """The ONNX file without the metadata that a packager appended, which is the official file again.

    Only top-level fields are walked. Raises ValueError for what is no such file.
    """
    kept, at = bytearray(), 0
    while at < len(onnx):
        start = at
        tag, at = _varint(onnx, at)
        value, at = _varint(onnx, at)
        if tag & 7 == 2:  # the value is the length of what follows
            at += value
        elif tag & 7 != 0:
            raise ValueError(f"byte {start} begins no field of an ONNX model")
        if tag != _METADATA:
            kept += onnx[start:at]
    return bytes(kept)


def as_onnx(checkpoint: bytes) -> bytes:
    """EfficientNet-Lite0's weights as an ONNX file. Raises ValueError for another checkpoint."""
    from imgpipe_cli.local.models import lite0  # loads numpy

    return lite0.onnx_of(checkpoint)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of protobuf's wire format, and where the next field begins."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return value, at + 1
        at, shift = at + 1, shift + 7
    raise ValueError("the ONNX model ends within a number")
