"""Rekognition's own errors: the code and sentence a caller of AWS would meet, and what is ours behind it.

AWS's sentence comes first, word for word where it is published; a detail after a colon says what it was
about in this picture or request. None of these is retried by an SDK.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that gets no analysis. code: AWS's exception name; status: the HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def body(self) -> dict[str, Any]:
        """The JSON body of the error answer; the server adds Logref."""
        return {"__type": self.code, "Code": self.code, "Message": self.message}


def invalid_parameter(detail: str) -> Refusal:
    return Refusal("InvalidParameterException", f"Request has invalid parameters: {detail}")


def invalid_format(detail: str) -> Refusal:
    return Refusal("InvalidImageFormatException", f"Request has invalid image format: {detail}")


def too_large(detail: str) -> Refusal:
    return Refusal("ImageTooLargeException", f"Image size is too large: {detail}")


def unreadable_object() -> Refusal:
    """AWS has one code for a missing object, a wrong Region and a caller that may not read."""
    return Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )


def unknown_operation(operation: str) -> Refusal:
    return Refusal("UnknownOperationException", f"The local Rekognition has no operation {operation}.")


def not_available(what: str, how_to_get_it: str) -> Refusal:
    """The one modelled code that says "cannot", and that no SDK retries. An empty list would claim that
    nothing was found."""
    return Refusal("ResourceNotReadyException", f"{what} not available locally. To get it: {how_to_get_it}")


def internal(message: str) -> Refusal:
    return Refusal("InternalServerError", message, status=500)
