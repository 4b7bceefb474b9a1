"""What can happen to one request, and how AWS words an error in each of its protocols."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Fault:
    """kind: one of KINDS. lasting: it also meets every repetition that the SDK sends of the same call, so
    that the SDK gives up; without it the first repetition gets through."""

    kind: str
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.kind}-lasting" if self.lasting else self.kind

    @property
    def carries_out(self) -> bool:
        """Whether the request takes effect although no good answer arrives."""
        return self.kind in ("lost", "killed")


# reset: the connection breaks before the request is carried out; lost: after it; killed: the command's
# process dies right after it; the others are answers instead of carrying it out.
KINDS = ("reset", "lost", "killed", "error_500", "error_503", "throttled")
FAULTS = tuple(
    Fault(kind, lasting) for kind in KINDS for lasting in (False, True) if not (kind == "killed" and lasting)
)

_JSON_10, _JSON_11 = "application/x-amz-json-1.0", "application/x-amz-json-1.1"
# Service -> (protocol, its codes for 500, 503 and throttling, the status of throttling).
_WORDS: Mapping[str, tuple[str, tuple[str, str, str], int]] = {
    "s3": ("xml", ("InternalError", "ServiceUnavailable", "SlowDown"), 503),
    "iam": ("query", ("ServiceFailure", "ServiceUnavailable", "Throttling"), 400),
    "sts": ("query", ("InternalFailure", "ServiceUnavailable", "Throttling"), 400),
    "dynamodb": (_JSON_10, ("InternalServerError", "ServiceUnavailable", "ThrottlingException"), 400),
    "sqs": (_JSON_10, ("InternalFailure", "ServiceUnavailable", "RequestThrottled"), 403),
    "ssm": (_JSON_11, ("InternalServerError", "ServiceUnavailable", "ThrottlingException"), 400),
    "logs": (_JSON_11, ("InternalFailure", "ServiceUnavailableException", "ThrottlingException"), 400),
    "lambda": ("rest", ("ServiceException", "ServiceUnavailableException", "TooManyRequestsException"), 429),
    "apigateway": (
        "rest",
        ("InternalServerError", "ServiceUnavailableException", "TooManyRequestsException"),
        429,
    ),
}
_KINDS_OF_ANSWER = {"error_500": (0, 500), "error_503": (1, 503), "throttled": (2, 0)}


def error_answer(service: str, kind: str) -> Answer:
    """The service's own answer for error_500, error_503 or throttled."""
    protocol, codes, throttled = _WORDS[service]
    which, status = _KINDS_OF_ANSWER[kind]
    status = status or throttled
    code, message = codes[which], "Rate exceeded" if kind == "throttled" else "Please try again."
    words = f"<Code>{code}</Code><Message>{message}</Message>"
    if protocol == "xml":
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error>{words}<RequestId>0</RequestId></Error>'
        return Answer(status, {"Content-Type": "application/xml"}, body.encode())
    if protocol == "query":
        error = f"<Error><Type>Sender</Type>{words}</Error>"
        body = f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
        return Answer(status, {"Content-Type": "text/xml"}, body.encode())
    if protocol == "rest":
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
        return Answer(status, headers, json.dumps({"message": message}).encode())
    document = {"__type": f"com.amazonaws.{service}#{code}", "message": message}
    return Answer(status, {"Content-Type": protocol}, json.dumps(document).encode())
