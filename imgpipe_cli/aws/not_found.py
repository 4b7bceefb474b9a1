"""How each AWS service says that something is not there."""

from __future__ import annotations

from collections.abc import Mapping

# Of services without a row of their own.
_USUAL = frozenset({"NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException", "404"})
_CODES: Mapping[str, frozenset[str]] = {
    "s3": frozenset({"NoSuchBucket", "404"}),
    # The tags of a parameter are those of a resource.
    "ssm": frozenset({"ParameterNotFound", "InvalidResourceId"}),
    # moto says the latter.
    "dynamodb": frozenset({"ResourceNotFoundException", "ResourceNotFound"}),
    "iam": frozenset({"NoSuchEntity"}),
    "lambda": frozenset({"ResourceNotFoundException"}),
    "logs": frozenset({"ResourceNotFoundException"}),
    "apigatewayv2": frozenset({"NotFoundException"}),
    # The one code in the two protocols of SQS.
    "sqs": frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}),
}
ANY = _USUAL.union(*_CODES.values())
"""The codes of all services."""


def codes_of(service: str) -> frozenset[str]:
    return _CODES.get(service, _USUAL)
