"""The operations: each one reads its request in full, then says how to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.rekognition.analysis import Analysis
from imgpipe_cli.local.rekognition.capabilities import label_model_version, text_model_version
from imgpipe_cli.local.rekognition.colors import DEFAULT_COLORS, MAX_COLORS
from imgpipe_cli.local.rekognition.detections import text_detections, text_filters
from imgpipe_cli.local.rekognition.errors import moderation_unavailable, unknown_operation
from imgpipe_cli.local.rekognition.faces import Face
from imgpipe_cli.local.rekognition.labels import labels, wanted
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
        detector = analysis.detector()
        properties = "IMAGE_PROPERTIES" in features
        if "GENERAL_LABELS" in features:
            seen = analysis.sightings(upload, detector, with_colors=properties)
            answer["Labels"] = labels(seen, choice, max_colors=max_colors)
        if properties:
            answer["ImageProperties"] = _image_properties(analysis, upload, max_colors)
        return {**answer, "LabelModelVersion": label_model_version(detector.version if detector else None)}

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
    return Job(place, lambda analysis, upload: {"FaceDetails": [_detail(f) for f in analysis.faces(upload)]})


def _detail(face: Face) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "BoundingBox": face.box.wire(),
        "Quality": {
            "Brightness": round(face.quality.brightness, 4),
            "Sharpness": round(face.quality.sharpness, 4),
        },
        "Confidence": round(face.confidence, 4),
    }
    if face.eyes is not None:
        places = (("eyeLeft", face.eyes.left), ("eyeRight", face.eyes.right))
        detail["Landmarks"] = [{"Type": kind, "X": round(x, 6), "Y": round(y, 6)} for kind, (x, y) in places]
        detail["Pose"] = {"Roll": round(face.eyes.roll_degrees, 4)}
    return detail


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
    """An empty list would claim that nothing was found, so a request in order is refused."""
    source(request)
    number(request, "MinConfidence", 50)
    raise moderation_unavailable()


OPERATIONS: Mapping[str, Callable[[Fields], Job]] = {
    "DetectLabels": _detect_labels,
    "DetectFaces": _detect_faces,
    "DetectText": _detect_text,
    "DetectModerationLabels": _detect_moderation_labels,
}
