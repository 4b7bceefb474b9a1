"""Which models there are, pinned by size and hash; a file that differs in one bit is never used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A file that can be installed. confirmed: who has checked size and sha256 against the source."""

    name: str
    file: str
    what: str
    size_bytes: int
    sha256: str
    license: str
    source: str
    url: str
    confirmed: str

    @property
    def version(self) -> str:
        """How answers name it: one look tells which bytes found this."""
        return f"{self.name}@{self.sha256[:8]}"


# Not run here: size_bytes and sha256 were never checked against a download by us. Several unrelated public
# repositories that hold a copy of this release asset state the same two values.
OBJECTS = Model(
    name="yolox-tiny",
    file="yolox_tiny.onnx",
    what="names and locates 80 kinds of objects",
    size_bytes=20_219_662,
    sha256="427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
    license="Apache-2.0",
    source="https://github.com/Megvii-BaseDetection/YOLOX",
    url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_tiny.onnx",
    confirmed="third parties only: size and sha256 were not checked against a download by imgpipe's makers",
)
