"""What the SDK raises, and what others answer in AWS's place, as an `AwsError`: our codes, and sentences."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imgpipe_cli.aws.sdk_settings import Setting, without_password

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


class AwsError(Exception):
    """One failed call.

    code: AWS's error code, or one of ours for what never reached AWS: Unreachable, NoCredentials,
    BrokenCredentials, HalfAPair, MfaNeeded, CrtNeeded, SsoLogin, AwsLogin, BadKeys, BadProfile, BadFile,
    BadSetting, NoRegion, BadRegion, BadParameters, NotAws.
    status: the HTTP status, 0 when there was no answer.
    setting: the variable or profile of the user's that it is about, where that is known.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        service: str = "",
        operation: str = "",
        status: int = 0,
        setting: Setting | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.service = service
        self.operation = operation
        self.status = status
        self.setting = setting

    @property
    def lost(self) -> bool:
        """True if the call may have been carried out although no good answer arrived."""
        return self.code == "Unreachable" or self.status >= 500


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


@contextlib.contextmanager
def errors_of(service: str, operation: str) -> Iterator[None]:
    """Whatever the SDK raises in between arrives as an AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise from_client_error(error, service, operation) from error
    except BotoCoreError as error:
        raise from_botocore(error, service, operation) from error
    except (ResponseParserError, KeyError) as error:  # a page that is XML by chance lacks what the SDK takes
        raise AwsError("NotAws", str(error), service=service, operation=operation) from error


def from_client_error(error: Any, service: str, operation: str) -> AwsError:
    details = error.response.get("Error") or {}
    # S3 names what it does not like beside its message.
    named = [str(value) for key, value in details.items() if key.startswith("Argument")]
    answer = error.response.get("ResponseMetadata", {})
    status = int(answer.get("HTTPStatusCode", 0))
    code = str(details.get("Code") or status)
    if code.isdigit() and is_foreign(status, answer.get("HTTPHeaders", {}), operation):
        code = "NotAws"
    return AwsError(
        code,
        " ".join([str(details.get("Message") or details.get("message") or error), *_bracketed(named)]),
        service=service,
        operation=operation,
        status=status,
    )


def _bracketed(named: Sequence[str]) -> list[str]:
    return [f"({', '.join(named)})"] if named else []


def from_botocore(error: Exception, service: str, operation: str) -> AwsError:
    text = without_password(str(error))
    # The SDK says only that it failed; a proxy that refuses has a reason.
    reason = re.search(r"Tunnel connection failed: [^'\")]+", repr(getattr(error, "kwargs", "")))
    if reason:
        text = f"{text} ({reason[0]})"
    return AwsError(code_of(error) or "Unreachable", text, service=service, operation=operation)
