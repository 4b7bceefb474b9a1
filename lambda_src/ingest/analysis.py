"""Asking Rekognition: one call for each feature, side by side.

Every call is billed as one picture, so each answer stands for itself: what one feature found is kept whatever
happens to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from ingest import timeouts
from ingest.backoff import Backoff
from ingest.faults import UNAVAILABLE_CODES, Fault, fault_of, without_arns
from shared.aws_clients import aws_code
from shared.dynamo_types import exact
from shared.log import log, log_failure
from shared.results import STORED_FROM

if TYPE_CHECKING:
    from shared.result_item import Origin

MAX_LABELS = 100

FACE_ATTRIBUTES = ("DEFAULT", "AGE_RANGE", "EMOTIONS", "EYEGLASSES", "EYES_OPEN", "SMILE", "SUNGLASSES")
"""What people ask of faces, at the same price.

Left out on purpose: GENDER (and BEARD, MUSTACHE), because it is a guess from looks that
is easily taken for a fact.
"""

MODEL_HEADER = "x-model-version"

_FAULTS = 2
"""So many faults of its own are put up with; an outage is left to Lambda, which comes again in a minute."""

Answer = dict[str, Any]


class Rekognition(Protocol):
    """The four operations used, as boto3's client has them."""

    def detect_labels(self, **parameters: Any) -> Answer: ...
    def detect_moderation_labels(self, **parameters: Any) -> Answer: ...
    def detect_faces(self, **parameters: Any) -> Answer: ...
    def detect_text(self, **parameters: Any) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a feature found; an empty list means that it looked and found nothing.

    `entries` of `properties` is one map about the whole picture. `lost`: how many more had no room when they
    were stored. `origin`: the picture of the same bytes whose analysis this is.
    """

    entries: list[dict[str, Any]] | dict[str, Any]
    model: str | None
    lost: int = 0
    origin: Origin | None = None


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """This endpoint cannot give the feature."""

    code: str
    message: str


Outcome = Findings | Unavailable | Fault


@dataclass(frozen=True, kw_only=True)
class Operation:
    """How one feature is asked for, and where its findings stand in the answer."""

    action: str
    ask: Callable[[Rekognition, Mapping[str, Any]], Answer]
    findings: str
    model: str


OPERATIONS: Mapping[str, Operation] = {
    "labels": Operation(
        action="rekognition:DetectLabels",
        ask=lambda client, image: client.detect_labels(
            Image=image, MinConfidence=STORED_FROM, MaxLabels=MAX_LABELS
        ),
        findings="Labels",
        model="LabelModelVersion",
    ),
    "moderation": Operation(
        action="rekognition:DetectModerationLabels",
        ask=lambda client, image: client.detect_moderation_labels(Image=image, MinConfidence=STORED_FROM),
        findings="ModerationLabels",
        model="ModerationModelVersion",
    ),
    "faces": Operation(
        action="rekognition:DetectFaces",
        ask=lambda client, image: client.detect_faces(Image=image, Attributes=list(FACE_ATTRIBUTES)),
        findings="FaceDetails",
        # AWS names no version here. An endpoint that does has only a header for it: SDKs drop what is not in
        # the service's model.
        model="FaceModelVersion",
    ),
    "text": Operation(
        action="rekognition:DetectText",
        # Rekognition's own default would drop words under 80.
        ask=lambda client, image: client.detect_text(
            Image=image, Filters={"WordFilter": {"MinConfidence": STORED_FROM}}
        ),
        findings="TextDetections",
        model="TextModelVersion",
    ),
    # A call of its own also where labels are asked for: AWS bills the two separately either way, and so each
    # stands for itself. One that fails or is added later never has the other asked, and paid, again.
    "properties": Operation(
        action="rekognition:DetectLabels",
        ask=lambda client, image: client.detect_labels(Image=image, Features=["IMAGE_PROPERTIES"]),
        findings="ImageProperties",
        model="LabelModelVersion",
    ),
}


def analyze(
    client: Rekognition,
    *,
    bucket: str,
    key: str,
    version_id: str | None,
    features: Iterable[str],
    backoff: Backoff,
) -> dict[str, Outcome]:
    """Ask for all features at once. Never raises: each feature has its outcome."""
    place = {"Bucket": bucket, "Name": key}
    if version_id is not None:
        # Without it, a picture that was overwritten meanwhile would be analyzed in place of the event's own.
        place["Version"] = version_id
    image = {"S3Object": place}
    asked = list(features)
    if len(asked) < 2:
        return {feature: _outcome(client, feature, image, backoff) for feature in asked}
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        outcomes = pool.map(lambda feature: _outcome(client, feature, image, backoff), asked)
        return dict(zip(asked, outcomes, strict=True))


def _outcome(client: Rekognition, feature: str, image: Mapping[str, Any], backoff: Backoff) -> Outcome:
    operation = OPERATIONS[feature]
    try:
        answer = backoff.call(
            lambda: operation.ask(client, image),
            keep_s=timeouts.ASKING_S + timeouts.STORING_S,
            faults=_FAULTS,
        )
    except ClientError as error:
        code = aws_code(error)
        message = error.response.get("Error", {}).get("Message", "")
        # Not as "message": that word is the name of a line itself.
        log("WARN", "feature_failed", feature=feature, code=code, errorMessage=message)
        if code in UNAVAILABLE_CODES:
            return Unavailable(code=code, message=without_arns(message))
        return fault_of(error, operation.action)
    except Exception as error:  # whatever it is, the other features' answers are paid for and must be stored
        log_failure("feature_failed", error, feature=feature)
        return fault_of(error, operation.action)
    return _findings(operation, answer)


def _findings(operation: Operation, answer: Answer) -> Findings | Fault:
    try:
        entries = _stored(exact(answer[operation.findings]))
    except (KeyError, TypeError, ValueError) as error:
        log_failure("answer_not_understood", error, action=operation.action)
        # Final: asking again would cost again and most likely bring the same.
        return Fault(
            code="unexpected_answer",
            message=f"{operation.action} answered something that cannot be stored.",
            hint="`imgpipe logs` shows the details; please report it.",
        )
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return Findings(entries=entries, model=answer.get(operation.model) or headers.get(MODEL_HEADER))


def _stored(found: Any) -> list[dict[str, Any]] | dict[str, Any]:
    """What is kept of a list of findings; properties are one map. Raises TypeError for anything else."""
    if isinstance(found, Mapping):
        return dict(found)
    return [entry for entry in found if entry["Confidence"] >= STORED_FROM]
