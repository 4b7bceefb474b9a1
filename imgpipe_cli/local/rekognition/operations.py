"""The operations: each one reads its request in full, then says how to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.rekognition.analysis import Analysis
from imgpipe_cli.local.rekognition.capabilities import (
    GET_MODELS,
    GET_MODERATION,
    label_model_version,
    moderation_model_version,
    text_model_version,
)
from imgpipe_cli.local.rekognition.colors import DEFAULT_COLORS, MAX_COLORS
from imgpipe_cli.local.rekognition.detections import text_detections, text_filters
from imgpipe_cli.local.rekognition.errors import not_available, unknown_operation
from imgpipe_cli.local.rekognition.faces import Face
from imgpipe_cli.local.rekognition.geometry import Point
from imgpipe_cli.local.rekognition.labels import labels, wanted
from imgpipe_cli.local.rekognition.moderation import EXPLICIT, is_installed
from imgpipe_cli.local.rekognition.wire import (
    Fields,
    Source,
    Upload,
    choices,
    number,
    optional_member,
    source,
    whole,
)

FEATURES = frozenset({"GENERAL_LABELS", "IMAGE_PROPERTIES"})
FACE_ATTRIBUTES = frozenset(
    {"DEFAULT", "ALL", "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN", "GENDER"}
    | {"MOUTH_OPEN", "MUSTACHE", "FACE_OCCLUDED", "SMILE", "SUNGLASSES"}
)


@dataclass(frozen=True)
class Job:
    """A request that is in order: where its picture is, and the answer's body once the picture is here."""

    source: Source
    body: Callable[[Analysis, Upload], dict[str, Any]]


def job(operation: str, request: Fields) -> Job:
    """Raises Refusal for a request that AWS would refuse without looking at the picture."""
    reader = OPERATIONS.get(operation)
    if reader is None:
        raise unknown_operation(operation)
    return reader(request)


def _detect_labels(request: Fields) -> Job:
    place, choice = source(request), wanted(request)
    features = choices(request, "Features", FEATURES) or frozenset({"GENERAL_LABELS"})
    settings = optional_member(optional_member(request, "Settings") or {}, "ImageProperties") or {}
    max_colors = whole(settings, "MaxDominantColors", DEFAULT_COLORS, most=MAX_COLORS)

    def body(analysis: Analysis, upload: Upload) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        finders = analysis.finders()
        properties = "IMAGE_PROPERTIES" in features
        if "GENERAL_LABELS" in features:
            seen = analysis.sightings(upload, finders, with_colors=properties)
            answer["Labels"] = labels(seen, choice, max_colors=max_colors)
        if properties:
            answer["ImageProperties"] = _image_properties(analysis, upload, max_colors)
        return {**answer, "LabelModelVersion": label_model_version(finders.versions)}

    return Job(place, body)


def _image_properties(analysis: Analysis, upload: Upload, max_colors: int) -> dict[str, Any]:
    """Foreground and Background are left out: nothing here tells them apart."""
    quality = analysis.quality(upload)
    return {
        "Quality": {
            "Brightness": round(quality.brightness, 4),
            "Sharpness": round(quality.sharpness, 4),
            "Contrast": round(quality.contrast, 4),
        },
        "DominantColors": list(analysis.colors(upload)[:max_colors]),
    }


def _detect_faces(request: Fields) -> Job:
    """Attributes are checked and change nothing: the members beyond DEFAULT cannot be found here."""
    place = source(request)
    choices(request, "Attributes", FACE_ATTRIBUTES)

    def body(analysis: Analysis, upload: Upload) -> dict[str, Any]:
        finders = analysis.finders()
        if finders.faces is None:
            raise not_available("The model for faces is", GET_MODELS)
        return {"FaceDetails": [_detail(face) for face in analysis.faces(upload, finders)]}

    return Job(place, body)


def _detail(face: Face) -> dict[str, Any]:
    # Rekognition has no name for the middle of the mouth and for ears; those are ours.
    places: dict[str, Point] = {
        "eyeLeft": face.eyes[0],
        "eyeRight": face.eyes[1],
        "nose": face.nose,
        "mouth": face.mouth,
        "earLeft": face.ears[0],
        "earRight": face.ears[1],
    }
    return {
        "BoundingBox": face.box.wire(),
        "Landmarks": [{"Type": kind, "X": round(x, 6), "Y": round(y, 6)} for kind, (x, y) in places.items()],
        "Pose": {"Roll": round(face.roll, 4), "Yaw": round(face.yaw, 4)},
        "Quality": {
            "Brightness": round(face.quality.brightness, 4),
            "Sharpness": round(face.quality.sharpness, 4),
        },
        "Confidence": round(face.confidence, 4),
    }


def _detect_text(request: Fields) -> Job:
    place, filters = source(request), text_filters(request)
    return Job(
        place,
        lambda analysis, upload: {
            "TextDetections": text_detections(analysis.lines(upload), filters),
            "TextModelVersion": text_model_version(),
        },
    )


def _detect_moderation_labels(request: Fields) -> Job:
    place, least = source(request), number(request, "MinConfidence", 50)

    def body(analysis: Analysis, upload: Upload) -> dict[str, Any]:
        if not is_installed():
            raise not_available("Moderation is", GET_MODERATION)
        sure = analysis.explicit(upload)
        label = {"Name": EXPLICIT, "ParentName": "", "TaxonomyLevel": 1, "Confidence": round(sure, 4)}
        return {
            "ModerationLabels": [label] if sure >= least else [],
            "ModerationModelVersion": moderation_model_version(),
            "ContentTypes": [],
        }

    return Job(place, body)


OPERATIONS: Mapping[str, Callable[[Fields], Job]] = {
    "DetectLabels": _detect_labels,
    "DetectFaces": _detect_faces,
    "DetectText": _detect_text,
    "DetectModerationLabels": _detect_moderation_labels,
}
