"""What the SDK raises, and what others answer in AWS's place: our codes for it, and sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping

_CODES = {
    "NoCredentialsError": "NoCredentials",
    "PartialCredentialsError": "BrokenCredentials",
    "CredentialRetrievalError": "BrokenCredentials",
    "RefreshWithMFAUnsupportedError": "MfaNeeded",
    "MissingDependencyException": "CrtNeeded",
    "ProfileNotFound": "BadProfile",
    "ConfigParseError": "BadFile",
    "InvalidConfigError": "BadProfile",
    "TokenRetrievalError": "SsoLogin",
    "SSOTokenLoadError": "SsoLogin",
    "UnauthorizedSSOTokenError": "SsoLogin",
    "LoginError": "AwsLogin",
    "NoRegionError": "NoRegion",
    "InvalidRegionError": "BadRegion",
    "UnknownRegionError": "BadRegion",
    "ParamValidationError": "BadParameters",
    # On the way: no connection, a broken one, no answer in time.
    "HTTPClientError": "Unreachable",
    "ConnectionError": "Unreachable",
}


def code_of(error: Exception) -> str:
    """Our code for what the SDK raises by itself; "" for what is in no table."""
    return next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), "")


def told(error: Exception) -> str:
    """In a sentence what kept the SDK from credentials: its own, where it has one."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"it cannot be read as text ({error})"
    if isinstance(error, json.JSONDecodeError):
        return f"it gives no JSON ({error})"
    if isinstance(error, AttributeError | KeyError | TypeError):
        return "its answer is not the JSON object that AWS documents"
    # A program's traceback ends with what matters.
    lines = [line for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "Traceback" in lines[0]:
        return f"{lines[0].partition('Traceback')[0]}{lines[-1]}"
    text = " ".join(lines).strip()
    return f"{text} it ended with an error and said nothing" if text.endswith(":") else text


def is_foreign(status: int, headers: Mapping[str, str], operation: str) -> bool:
    """Whether an error without a code comes from something on the way, such as a proxy. Server errors may be
    anybody's: they are tried again."""
    if not 300 <= status < 500:
        return False
    if operation.startswith("head_"):  # it has no body that could name a code; emulators' 404 may be a page
        return "html" in headers.get("content-type", "") and status != 404
    return not any(name in headers for name in ("x-amzn-requestid", "x-amz-request-id"))
