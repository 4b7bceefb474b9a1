"""What an AWS error that no code expected means to the user: a Problem with a hint."""

from __future__ import annotations

import re
from collections.abc import Callable

from imgpipe_cli.aws.backoff import THROTTLED
from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.iam.action_names import action_of
from imgpipe_cli.aws.sign_in_errors import SIGN_IN
from imgpipe_cli.errors import ExitCode, Problem, sentence

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_BAD_KEYS = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "InvalidSignatureException",
    "InvalidToken",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
}
_SKEWED = {"RequestTimeTooSkewed"}
# STS and others call a wrong clock a wrong signature; only the message tells.
_SKEWED_TEXT = re.compile(r"Signature (?:expired|not yet current)")
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "AuthorizationError"}
_QUOTA = {"LimitExceeded", "LimitExceededException", "TooManyBuckets", "CodeStorageExceededException"}
# The resource is an ARN, in quotes in newer answers of S3, or in IAM's words, such as `role demo-ingest`.
_DENIED_TEXT = re.compile(
    r"not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on resource: (?:\"(?P<quoted>[^\"]+)\"|(?P<resource>(?:(?:role|user|policy|group) )?\S+)))?"
)
# CloudWatch Logs, of a log group with tags; the action of the call itself is allowed then.
_ADDITIONAL_TEXT = re.compile(r"additional permission \"(?P<action>[\w:]+)\" is required")


# "with an explicit deny in a service control policy", now and then with the policy's ARN behind it.
_FORBIDDEN_TEXT = re.compile(r"explicit deny in an? (?P<kind>[\w -]+)")
_FORBIDDEN_HINTS = {
    "identity-based": "Take the Deny out of the policies of the user or role you sign in with.",
    "resource-based": "Take the Deny out of the policy of the resource itself, such as the bucket's policy: "
    "no permission of yours outweighs it.",
    "control policy": "It is set for the whole AWS organization: ask those who manage it, or take another "
    "account.",
    "permissions boundary": "It is the boundary of the user or role you sign in with: ask who set it, or "
    "sign in as another.",
    "session policy": "It came with the session you are signed in with: sign in without that policy.",
}
_FORBIDDEN_HINT = "No permission of yours outweighs it: it has to be changed where it stands."


# Lambda has one code for this and for what passes.
_FAILED_TEXT = re.compile(r"in the following state: '?Failed\b")


def problem(error: AwsError, doing: str = "") -> Problem:
    """The Problem of an error that no code expected; doing says where, such as "create role x"."""
    where = f"Could not {doing}: " if doing else ""
    code = "RequestTimeTooSkewed" if _SKEWED_TEXT.match(error.message) else error.code
    for codes, make in _TABLE:
        if code in codes:
            return make(error, where)
    if error.code == "Unreachable":
        return Problem("unreachable", f"{where}{sentence(error.message)}", hint=_unreachable_hint(error))
    if _FAILED_TEXT.search(error.message):
        return Problem(
            "function_failed",
            f"{where}{sentence(error.message)}",
            hint="Remove the cause. If it stays so, remove the function with aws lambda delete-function; "
            "imgpipe up then makes it anew.",
        )
    if error.status >= 500 and error.code == str(error.status):
        return Problem(
            "aws_error",
            f"{where}{error.service} answered HTTP {error.status} again and again, and says no reason.",
            hint="Run the command again later. If it stays so, check AWS_ENDPOINT_URL and the proxy, if any.",
        )
    named = f"{error.service} {error.operation} answered " if error.operation else ""
    return Problem(
        "aws_error",
        f"{where}{named}{error.code}: {sentence(error.message)}",
        hint="Run the command again: it continues where it stopped. --verbose shows the details.",
    )


def is_about_all(error: AwsError) -> bool:
    """Whether a call about another key would meet the same."""
    return error.code in _EXPIRED | _BAD_KEYS | _SKEWED | THROTTLED | {"NoSuchBucket", "404"}


def denied_action(error: AwsError) -> str | None:
    """The action that is not allowed, by its name; None if the error says something else."""
    if error.code not in _DENIED:
        return None
    found = _ADDITIONAL_TEXT.search(error.message) or _DENIED_TEXT.search(error.message)
    return _spelled(found["action"]) if found else action_of(error.service, error.operation)


def _denied(error: AwsError, where: str) -> Problem:
    if "object lock" in error.message.lower():
        return _locked(error, where)
    found = _DENIED_TEXT.search(error.message)
    action = denied_action(error)
    resource = (found["quoted"] or found["resource"] or "") if found else ""
    about = f" for {resource}" if resource else ""
    if forbidden := _FORBIDDEN_TEXT.search(error.message):
        kind = forbidden["kind"].strip()
        return Problem(
            "access_denied",
            f"{where}{action} is explicitly denied{about}, by a policy of this kind: {kind}.",
            hint=next((hint for part, hint in _FORBIDDEN_HINTS.items() if part in kind), _FORBIDDEN_HINT),
        )
    if "MultiFactorAuthentication" in error.message:
        return Problem(
            "bad_credentials",
            f"{where}{sentence(error.message)}",
            hint="Run the command again with the next code of the device.",
        )
    # What names no permission may have another reason.
    named = found or _ADDITIONAL_TEXT.search(error.message)
    said = f" AWS says: {sentence(error.message)}" if error.message and not named else ""
    hint = "Add it to the user or role you sign in with: imgpipe policy prints what commands need."
    if error.operation.startswith("assume_role"):
        hint = f"Let the role trust who signs in, and allow {action} on it; or choose another --profile."
    if error.operation == "head_bucket":
        hint += " If you have it, the bucket is somebody else's: choose another name with --project."
    return Problem("access_denied", f"{where}the permission {action} is missing{about}.{said}", hint=hint)


def _locked(error: AwsError, where: str) -> Problem:
    """S3 keeps an object of a bucket with Object Lock; deleting several names its key behind the message."""
    key = error.message.rpartition("(")[2].rstrip(").") if error.message.rstrip(".").endswith(")") else ""
    objects = f"the object{'s' if ', ' in key else ''} {key}" if key else "an object"
    return Problem(
        "object_locked",
        f"{where}S3 Object Lock protects {objects} from deletion.",
        hint="Run the command again once its retention is over and its legal hold lifted: aws s3api "
        "get-object-retention and get-object-legal-hold show them.",
    )


def _spelled(action: str) -> str:
    """The action as policies have it: SQS writes it in small letters."""
    if not action.startswith("sqs:"):
        return action
    from botocore.session import get_session

    known = (f"sqs:{name}" for name in get_session().get_service_model("sqs").operation_names)
    return next((name for name in known if name.lower() == action.lower()), action)


def _fixed(code: str, message: str, hint: str) -> Callable[[AwsError, str], Problem]:
    """An entry of the table whose words do not depend on the error."""
    return lambda _error, where: Problem(code, f"{where}{message}", hint=hint)


def _unreachable_hint(error: AwsError) -> str:
    if "SSL validation failed" in error.message:
        return "If a proxy opens the connections, name the file of its certificates in AWS_CA_BUNDLE."
    if error.setting is not None:
        return f"Check the proxy in {error.setting.name}, and the network, then run the command again."
    return "Check the network, the region and AWS_ENDPOINT_URL, then run the command again."


def _proxy(error: AwsError) -> str:
    return f"the proxy in {error.setting.name}" if error.setting else "a proxy"


_TABLE: tuple[tuple[set[str], Callable[[AwsError, str], Problem]], ...] = (
    *(({code}, make) for code, make in SIGN_IN.items()),
    (
        {"NoRegion"},
        lambda _error, where: Problem(
            "no_region",
            f"{where}No AWS region is configured.",
            hint="Name one: add --region eu-west-1, or set AWS_REGION.",
            exit_code=ExitCode.USAGE,
        ),
    ),
    (
        {"BadRegion"},
        lambda error, where: Problem(
            "bad_region",
            f"{where}{sentence(error.message)}",
            hint="Name a region such as eu-west-1 with --region.",
            exit_code=ExitCode.USAGE,
        ),
    ),
    (
        {"NotAws"},
        lambda error, where: Problem(
            "not_aws",
            f"{where}{error.service} gave an answer that is not AWS's"
            f"{f' (HTTP {error.status})' if error.status else ''}.",
            hint=f"Check AWS_ENDPOINT_URL, and whether {_proxy(error)} or a network's sign-in page answers.",
        ),
    ),
    (
        _EXPIRED,
        _fixed(
            "expired_token",
            "The AWS credentials have expired.",
            "Sign in again (aws sso login, or new keys), then run the command again: it continues.",
        ),
    ),
    (
        _BAD_KEYS,
        _fixed(
            "bad_credentials",
            "AWS does not accept these credentials.",
            "Check aws sts get-caller-identity with the same profile; aws configure sets new keys.",
        ),
    ),
    (
        {"BadKeys"},
        lambda error, where: Problem(
            "bad_credentials",
            f"{where}{sentence(error.message)}",
            hint="Set it again without it: aws configure, or AWS_ACCESS_KEY_ID and its companions.",
        ),
    ),
    (
        _SKEWED,
        _fixed(
            "clock_skew",
            "This machine's clock differs too much from AWS's.",
            "Set the clock (or switch on network time), then run the command again.",
        ),
    ),
    (_DENIED, _denied),
    (
        {*THROTTLED, "TooManyUpdates"},
        _fixed(
            "throttled",
            "AWS is receiving too many requests from this account just now.",
            "Wait a minute, then run the command again: it continues where it stopped.",
        ),
    ),
    (
        {"InsufficientStorage"},
        lambda error, where: Problem(
            "local_disk_full",
            f"{where}{sentence(error.message)}",
            hint="Make room on it, then run the command again; see imgpipe local status.",
        ),
    ),
    (
        {"DeleteConflict"},
        lambda error, where: Problem(
            "in_use",
            f"{where}{sentence(error.message)}",
            hint="If an instance profile holds the role: aws iam list-instance-profiles-for-role, then "
            "remove-role-from-instance-profile. Then run the command again.",
        ),
    ),
    (
        _QUOTA,
        lambda error, where: Problem(
            "quota_exceeded",
            f"{where}a quota of the account is used up: {sentence(error.message)}",
            hint="Remove what is not needed or ask for more in the Service Quotas console.",
        ),
    ),
)
