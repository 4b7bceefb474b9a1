"""What the local Rekognition can and cannot do, in words and versions; loads none of it."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from imgpipe_cli import __version__
from imgpipe_cli.local.models.catalogue import Model
from imgpipe_cli.local.models.store import Condition

OMITTED_FACE_MEMBERS = (
    *(
        "AgeRange",
        "Smile",
        "Eyeglasses",
        "Sunglasses",
        "Gender",
        "Beard",
        "Mustache",
        "EyesOpen",
        "MouthOpen",
    ),
    *("Emotions", "FaceOccluded", "EyeDirection", "Pose.Yaw", "Pose.Pitch"),
)


NO_OBJECTS = "no-object-model"

_LABELS = "Face (then also Head and Person), Text, QR Code"
_OBJECTS = ", and 80 kinds of objects with boxes"
_PROPERTIES = "IMAGE_PROPERTIES: colors, quality"
_SCENES = "scenes, activities and concepts"
_NOT_IN_PROPERTIES = "Foreground and Background of IMAGE_PROPERTIES are left out, its scales are our own"


_WITHOUT: dict[Condition, str] = {
    "installed": "",
    "missing": "; objects and animals until a model is installed: imgpipe local models fetch",
    "damaged": "; objects and animals: the model's file is damaged, imgpipe local models fetch replaces it",
}


def label_model_version(objects: str | None) -> str:
    """objects: the version of the object model, None where there is none."""
    return f"imgpipe-local/{__version__};faces+text+qr;{objects or NO_OBJECTS}"


def text_model_version() -> str:
    return f"imgpipe-local rapidocr {_version('rapidocr')} PP-OCRv6-small"


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def capabilities(model: Model, condition: Condition) -> dict[str, Any]:
    """model: the object model that would be used; condition: what lies in its place."""
    objects = model.version if condition == "installed" else None
    labels = label_model_version(objects)
    opencv = f"OpenCV {_version('opencv-python-headless')}"
    faces = f"{opencv} haarcascade_frontalface_alt2, haarcascade_eye"
    return {
        "models": {"labels": labels, "faces": faces, "text": text_model_version()},
        "operations": {
            "DetectLabels": {
                "available": True,
                "does": f"{_LABELS}{_OBJECTS if objects else ''}; {_PROPERTIES}",
                "cannot": f"{_SCENES}{'' if objects else _WITHOUT[condition]}. {_NOT_IN_PROPERTIES}",
                "model": labels,
            },
            "DetectFaces": {
                "available": True,
                "does": "boxes of frontal faces, confidence, quality; both eyes and roll where found",
                "cannot": "faces from the side; age, gender, emotions, glasses and the like are left out",
                "omits": list(OMITTED_FACE_MEMBERS),
                "model": faces,
            },
            "DetectText": {
                "available": True,
                "does": "lines and words in Latin script, in any direction, with polygons",
                "cannot": "Arabic, Chinese, Japanese and Korean; accented letters and spaces may be lost",
                "model": text_model_version(),
            },
            "DetectModerationLabels": {
                "available": False,
                "does": "answers ResourceNotReadyException",
                "cannot": "moderation: there is no model for it that may be shipped",
                "model": None,
            },
        },
        "limits": {
            "decoded_bytes": "a PNG or progressive JPEG that needs over 152 MB to decode is refused "
            "as too large (AWS documents no such limit)",
        },
    }
