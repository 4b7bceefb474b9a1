"""What the local Rekognition can and cannot do, in words and versions; loads none of it."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from imgpipe_cli import __version__

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


def label_model_version() -> str:
    return f"imgpipe-local/{__version__};faces+text+qr;no-object-model"


def text_model_version() -> str:
    return f"imgpipe-local rapidocr {_version('rapidocr')} PP-OCRv6-small"


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def capabilities() -> dict[str, Any]:
    opencv = f"OpenCV {_version('opencv-python-headless')}"
    faces = f"{opencv} haarcascade_frontalface_alt2, haarcascade_eye"
    return {
        "models": {"labels": label_model_version(), "faces": faces, "text": text_model_version()},
        "operations": {
            "DetectLabels": {
                "available": True,
                "does": "Face (then also Head and Person), Text, QR Code; IMAGE_PROPERTIES: colours, quality",
                "cannot": "objects, animals, scenes and activities: no object model is installed. "
                "Foreground and Background of IMAGE_PROPERTIES are left out, its scales are our own",
                "model": label_model_version(),
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
            "decoded_bytes": "a PNG or progressive JPEG that needs over 160 MB to decode is refused "
            "as too large (AWS documents no such limit)",
        },
    }
