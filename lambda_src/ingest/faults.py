"""Every way in which looking at a picture can fail, in words for the person who sent it.

A fault that is `retryable` is stored and then raised, so that Lambda tries again; any other is final.
Messages never repeat what AWS said about access: that text names the account and the role, and results may be
public.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
)

from shared.aws_clients import THROTTLE_CODES, aws_code
from shared.picture import Refusal, corrupt, too_large

if TYPE_CHECKING:
    from shared.result_item import Failure


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The `error` of a failed result: a snake_case code, what is wrong, and what to do about it."""

    code: str
    message: str
    hint: str
    retryable: bool = False

    def stored(self, tries_left: int) -> Failure:
        """As a result holds it. tries_left: how many more tries Lambda makes of the event."""
        stored: Failure = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }
        if self.retryable:
            stored["triesLeft"] = tries_left
            if not tries_left:
                stored["hint"] = "No attempt is left. Once the cause is gone, run `imgpipe retry`."
        return stored


class TryAgain(Exception):
    """A retryable fault, raised after it was stored."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.code}: {fault.message}")
        self.fault = fault


class Gone(Exception):
    """An object is not there, and what lies on top of its key, or its age, proves that it never will be."""


class InProgress(Exception):
    """Another run asks about the same bytes just now, or has come in between."""


class Overtaken(Exception):
    """Another run has stored something about the picture in between: what is to be done is decided anew."""


class NotShown(Exception):
    """S3 does not find an object, and nothing proves that it is gone.

    For 15 minutes after a bucket's versioning was first enabled, S3 may answer 404 for what is there.
    [S3 User Guide, "Enabling versioning on buckets"]
    """


def gone() -> Fault:
    return Fault(
        code="gone",
        message="The picture was removed from the bucket before it was analyzed.",
        hint="Upload it again if it should be analyzed.",
    )


def customer_key() -> Fault:
    return Fault(
        code="customer_key",
        message="The picture is encrypted with a key that only its sender has (SSE-C).",
        hint="Upload it again without that key: the bucket encrypts it by itself.",
    )


def over_limit(limit: int | None) -> Fault:
    analyses = "analysis" if limit == 1 else "analyses"
    return Fault(
        code="over_limit",
        message=f"The picture is over the monthly limit of {limit} {analyses}.",
        hint="Run imgpipe retry next month, or raise the limit with imgpipe up --monthly-limit N first.",
    )


def refused(found: Refusal) -> Fault:
    """A picture that Rekognition would not take, or did not: final."""
    return Fault(code=found.code, message=found.message, hint=found.hint)


NOT_FOUND_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"})
"""S3 says so only to a role that may list the bucket; to any other it answers 403."""

UNAVAILABLE_CODES = frozenset(
    {
        "ResourceNotReadyException",
        "UnknownOperationException",
        "UnknownOperation",
        "InvalidAction",
        "UnsupportedOperation",
        "UnsupportedOperationException",
        "NotImplemented",
    }
)
"""The endpoint does not offer this operation: no fault of the picture, and no use in trying again."""

_ACCESS_CODES = frozenset({"AccessDenied", "AccessDeniedException", "403", "UnrecognizedClientException"})


def is_throttled(error: Exception) -> bool:
    return aws_code(error) in THROTTLE_CODES


def is_not_shown(error: Exception) -> bool:
    return isinstance(error, NotShown)


def is_passing(error: Exception) -> bool:
    """Whether the very same call may be sent again at once: AWS did not carry it out, and bills nothing.

    An answer that does not come in time says nothing of the kind.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return is_throttled(error) or status >= 500
    return isinstance(error, (ConnectTimeoutError, ConnectionClosedError, EndpointConnectionError))


def passing(code: str, message: str) -> Fault:
    """A fault that the next try is to end."""
    return Fault(code=code, message=message, hint="It is tried again by itself.", retryable=True)


def without_arns(text: str) -> str:
    """AWS's own message, fit to be public: no account, no role, no novel."""
    return re.sub(r"arn:\S+", "(name removed)", text)[:300]


def fault_of(error: Exception, doing: str) -> Fault:
    """The fault behind an exception; `doing` says where, such as "rekognition:DetectLabels"."""
    code = aws_code(error)
    if isinstance(error, Gone):
        return gone()
    if isinstance(error, NotShown):
        return Fault(
            code="not_shown",
            message="S3 does not show the picture yet, and nothing says that it was removed.",
            hint="It is tried again by itself. A new bucket may need 15 minutes; then run `imgpipe retry`.",
            retryable=True,
        )
    if isinstance(error, InProgress):
        return Fault(
            code="copy_in_progress",
            message="A picture with the same bytes is being analyzed.",
            hint="It is tried again by itself, and takes over that result.",
            retryable=True,
        )
    if isinstance(error, ParamValidationError):
        return Fault(
            code="not_sent",
            message=f"{doing} could not be asked about this picture: the request is not a valid one.",
            hint="`imgpipe logs` shows the details; please report it.",
        )
    if code == "InvalidRequest" and "Server Side Encryption" in _told(error):
        return customer_key()
    return _final_fault(error, code, doing) or _passing_fault(error, code, doing)


def _told(error: Exception) -> str:
    """What the service itself said."""
    answer = error.response if isinstance(error, ClientError) else {}
    return without_arns(str(answer.get("Error", {}).get("Message", "")))


def _reason(error: Exception) -> str:
    """Why a picture is no valid one, where the service says more than that."""
    reason = _told(error).partition("invalid image format: ")[2].strip().rstrip(".")
    return f" ({reason})" if reason else ""


def _final_fault(error: Exception, code: str, doing: str) -> Fault | None:
    match code:
        case "InvalidImageFormatException":
            return refused(corrupt(f"{doing} could not decode it{_reason(error)}"))
        case "ImageTooLargeException":
            # Its bytes were counted before it was asked about: the service has another reason, and tells it.
            return refused(too_large(_told(error) or f"{doing} finds it too large."))
        case "InvalidParameterException":
            return Fault(
                code="rejected",
                message=f"{doing} does not accept this picture.",
                hint="Save it again as an ordinary JPEG or PNG and upload that.",
            )
        case "InvalidObjectState":
            return Fault(
                code="archived",
                message="The picture is in an archive storage class and cannot be read.",
                hint="Upload it again with the standard storage class.",
            )
        case _:
            return None


def _passing_fault(error: Exception, code: str, doing: str) -> Fault:
    """A fault that may be over at the next try. What is unknown counts as such: nothing may get lost."""
    if code in THROTTLE_CODES:
        name, message = "throttled", f"{doing} was asked too often ({code})."
        hint = "It is tried again by itself. Upload fewer pictures at once, or ask AWS for a higher quota."
    elif code in _ACCESS_CODES:
        name, message = "access_denied", f"The ingest function is not allowed: {doing}."
        hint = "New permissions need up to a minute to spread. If it stays, run `imgpipe up` again."
    elif code == "InvalidS3ObjectException":
        # One code for "not found", "no access" and "other region". We have just read the object with the same
        # role, so what is left is a permission that has not reached Rekognition yet.
        name, message = "unreadable", f"{doing} could not read the picture from the bucket ({code})."
        hint = "New permissions need up to a minute to spread. If it stays, run `imgpipe up` again."
    elif code:
        name, message = "service_error", f"{doing} failed ({code})."
        hint = "It is tried again by itself."
    elif isinstance(error, BotoCoreError):
        name, message = "service_unreachable", f"{doing} got no answer ({type(error).__name__})."
        hint = "It is tried again by itself."
    else:
        name, message = "internal", f"Unexpected {type(error).__name__} at {doing}."
        hint = "It is tried again by itself. `imgpipe logs` shows the details."
    return Fault(code=name, message=message, hint=hint, retryable=True)
