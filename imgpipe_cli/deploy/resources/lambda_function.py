"""The pieces that every Lambda function is made of: its log group and the function itself.

Steps 4 and 7 compose them; the access logs of the API are a log group too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.names import FUNCTIONS, Names
from imgpipe_cli.deploy.resource import (
    IAM_DELAY,
    Call,
    Change,
    Computed,
    Context,
    Fallback,
    Observed,
    Resource,
    TransientError,
    indeterminate,
)
from imgpipe_cli.deploy.resources.iam_role import role_id
from imgpipe_cli.deploy.resources.lambda_concurrency import capping
from imgpipe_cli.deploy.resources.token_parameter import token_sha256
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Note
from imgpipe_cli.lambdas import package
from imgpipe_cli.session.settings import Settings

RUNTIME = "python3.12"
_ARCHITECTURES = ["arm64"]
RETENTION_DAYS = 14
# Lambda lets the role with this id decrypt the environment. A role made anew under the same name has another
# id, and every call of the function fails with KMSAccessDeniedException until it is given the role anew.
ROLE_TAG = "RoleId"
# Behind the id: the role was given while its trust policy did not name the account.
_WITHOUT_ACCOUNT = " without aws:SourceAccount"
_NOT_THERE = ("ResourceNotFoundException",)
_ROLE_HINT = (
    "If it never passes: may Lambda take the role? Its trust policy must name lambda.amazonaws.com, and no "
    "policy of the organization may deny sts:AssumeRole. Then run the command again: it continues here."
)
# What Lambda answers to any change of a function that it is at work on. The same code with another text may
# mean that a thing is there already.
LAMBDA_BUSY = (
    TransientError("ResourceConflictException", "state: Deleting", "the old function is still going"),
    TransientError(
        "ResourceConflictException", "update is in progress", "Lambda is still updating the function"
    ),
    TransientError("ResourceConflictException", "state: Pending", "Lambda is still making the function"),
    TransientError(
        "ResourceConflictException",
        "concurrent update operation",
        "Lambda is still working on another change of the function",
    ),
)
_PASSING = (
    TransientError(
        "InvalidParameterValueException",
        "cannot be assumed by Lambda",
        IAM_DELAY,
        hint=_ROLE_HINT,
        # Nobody has shown that Lambda names the account when it takes a role.
        fallback=Fallback({"source_account": False}, Note("source_account_left_out")),
    ),
    TransientError("InvalidParameterValueException", "execution role does not have permissions", IAM_DELAY),
    # The key of the environment is AWS's own: what it does not know yet is the role.
    TransientError(
        "InvalidParameterValueException", "KMS key is invalid for CreateGrant", IAM_DELAY, hint=_ROLE_HINT
    ),
    *LAMBDA_BUSY,
    TransientError("ResourceNotFoundException", "", "the new function is not visible everywhere yet", 60),
)


class LogGroup(Resource):
    """A log group with retention, made before the first line is written: Lambda's own would never expire."""

    needs = ("settings",)

    def __init__(self, name: str, title: str, group: Callable[[Names], str]) -> None:
        self.name = name
        self.title = title
        self._group = group

    def observe(self, aws: Aws, names: Names) -> Observed:
        group = self._group(names)
        found = aws.together(
            {
                "groups": lambda: aws.call("logs", "describe_log_groups", logGroupNamePrefix=group),
                "tags": lambda: aws.find(
                    "logs",
                    "list_tags_for_resource",
                    missing=_NOT_THERE,
                    resourceArn=names.log_group_arn(group),
                ),
            }
        )
        for entry in found["groups"]["logGroups"]:
            if entry["logGroupName"] == group:
                facts = {"retention": entry.get("retentionInDays")}
                if found["tags"] is None:
                    return indeterminate(facts)
                tags = found["tags"].get("tags", {})
                return Observed(exists=True, owned=names.owns(tags), facts=facts, tags=tags)
        return Observed(exists=False, facts={"retention": None})

    def diff(self, context: Context) -> Iterator[Change]:
        group = self._group(context.names)
        if not context.seen.exists:
            call = Call(
                "logs", "create_log_group", {"logGroupName": group, "tags": context.names.tags}, _LOGS_BUSY
            )
            yield Change("create", f"log group {group}", call)
        if context.seen.facts["retention"] != RETENTION_DAYS:
            params = {"logGroupName": group, "retentionInDays": RETENTION_DAYS}
            call = Call("logs", "put_retention_policy", params, _LOGS_BUSY)
            yield Change("set", f"retention of log group {group} to {RETENTION_DAYS} days", call)

    def removals(self, context: Context) -> Iterator[Change]:
        group = self._group(context.names)
        call = Call("logs", "delete_log_group", {"logGroupName": group}, _LOGS_BUSY)
        yield Change("delete", f"log group {group}", call)


_LOGS_BUSY = (
    TransientError("OperationAbortedException", why="CloudWatch Logs is still working on another change"),
)


@dataclass(frozen=True)
class Shape:
    """What differs between the functions. memory in MB, timeout in seconds.

    capped: whether it runs at most as often at once as the settings say.
    """

    function: str
    title: str
    memory: int
    timeout: int
    environment: Callable[[Names, Settings, str], Mapping[str, str]]
    needs_token: bool = False
    capped: bool = False


def store_variables(names: Names, settings: Settings) -> Mapping[str, str]:
    """The environment that tells a function where the results are: exactly one store."""
    return (
        {"TABLE_NAME": names.table}
        if settings.results == "table"
        else {"RESULTS_BUCKET": names.results_bucket}
    )


class Function(Resource):
    """A Lambda function: code, configuration and environment follow the checkout and the settings."""

    serialize = True  # an update while another is in progress is refused

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.name = f"function.{shape.function}"
        self.title = shape.title
        token = ("token",) if shape.needs_token else ()
        self.needs = (f"role.{shape.function}", f"logs.{shape.function}", *token)

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = aws.together(
            {
                "function": lambda: aws.find(
                    "lambda",
                    "get_function",
                    missing=_NOT_THERE,
                    FunctionName=names.function(self.shape.function),
                ),
                "token": lambda: self._token_hash(aws, names),
                "role": lambda: self._role_id(aws, names),
            }
        )
        asked = {"token_sha256": found["token"], "role_id": found["role"]}
        if found["function"] is None:
            return Observed(exists=False, facts=asked)
        # Without lambda:ListTags the answer has no tags: the function would look like somebody else's.
        if refused := found["function"].get("TagsError"):
            raise AwsError(
                refused["ErrorCode"], refused["Message"], service="lambda", operation="list_tags", status=403
            )
        configuration = found["function"]["Configuration"]
        tags = found["function"].get("Tags", {})
        state = configuration.get("State", "Active")
        update = configuration.get("LastUpdateStatus", "Successful")
        return Observed(
            exists=True,
            # Inactive: idle for weeks; the next call wakes it. Failed is repaired by an update.
            ready=state in ("Active", "Inactive", "Failed") and update != "InProgress",
            owned=names.owns(tags),
            tags=tags,
            detail=f"{state}, update {update}".lower() if state == "Active" else state.lower(),
            facts={
                **asked,
                "granted": tags.get(ROLE_TAG),
                "sha256": configuration["CodeSha256"],
                "architectures": configuration.get("Architectures", ["x86_64"]),
                "configuration": configuration,
                "failed": _failure(configuration),
                "reserved": found["function"].get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            },
        )

    def _token_hash(self, aws: Aws, names: Names) -> str:
        """The hash the function must hold; of the placeholder while there is no token yet."""
        if not self.shape.needs_token:
            return ""
        return token_sha256(aws, names) or Computed("hash of the new token")

    def _role_id(self, aws: Aws, names: Names) -> str:
        return role_id(aws, names, self.shape.function) or Computed("id of the new role")

    def completed(self, seen: Observed, aws: Aws, names: Names) -> Observed:
        # Known since the last look at the role, which may have been made meanwhile.
        facts = {**seen.facts, "role_id": self._role_id(aws, names)}
        if isinstance(facts["token_sha256"], Computed):
            facts["token_sha256"] = self._token_hash(aws, names)
        return replace(seen, facts=facts)

    def diff(self, context: Context) -> Iterator[Change]:
        seen, names, settings = context.seen, context.names, context.settings
        function = names.function(self.shape.function)
        configuration = self._configuration(context)
        code = {"ZipFile": Zip(self.shape.function)}
        if not seen.exists:
            params = {
                "FunctionName": function,
                **configuration,
                "Code": code,
                "Architectures": _ARCHITECTURES,
                "Tags": {**names.tags, ROLE_TAG: _grant(context)},
            }
            call = Call("lambda", "create_function", params, _PASSING)
            yield Change("create", f"function {function}", call)
            yield from capping(function, None, self._cap(settings), LAMBDA_BUSY)
            return
        if seen.facts["configuration"].get("PackageType", "Zip") != "Zip":
            raise Problem(
                "function_differs",
                f"The function {function} is a container image, not a zip, which Lambda cannot change.",
                hint=f"Remove it: aws lambda delete-function --function-name {function}; then imgpipe up.",
            )
        if (
            seen.facts["sha256"] != package.code_sha256(self.shape.function)
            or seen.facts["architectures"] != _ARCHITECTURES
        ):
            params = {"FunctionName": function, **code, "Architectures": _ARCHITECTURES}
            call = Call("lambda", "update_function_code", params, _PASSING)
            yield Change("update", f"code of function {function}", call)
        yield from capping(function, seen.facts["reserved"], self._cap(settings), LAMBDA_BUSY)
        yield from self._given_anew(context, configuration)
        added = _added(seen.facts["configuration"])
        differing = [*_differing(configuration, seen.facts["configuration"]), *map(str.lower, added)]
        if differing:
            params = {"FunctionName": function, **configuration, **added}
            call = Call("lambda", "update_function_configuration", params, _PASSING)
            yield Change("update", f"{', '.join(differing)} of function {function}", call)
        elif seen.facts["failed"]:
            raise Problem(
                "function_failed",
                f"Lambda could not make the function {function}: {seen.facts['failed']}",
                hint="Remove the cause. If imgpipe up says the same again, imgpipe down and up make it anew.",
            )

    def _given_anew(self, context: Context, configuration: Mapping[str, Any]) -> Iterator[Change]:
        """Give the function its role anew where that is another one of the same name: first some other role,
        then the tag, then the right one, as with any wrong role. A stop in between is gone on from there.

        Where the role's trust policy names the account again, its own is given to it again before the tag
        says so: Lambda refuses that if it cannot take the role now.
        """
        seen, names = context.seen, context.names
        wanted, granted, role = _grant(context), seen.facts["granted"], seen.facts["role_id"]
        # While there is no role there is none to give.
        if granted == wanted or isinstance(wanted, Computed):
            return
        function, right = names.function(self.shape.function), configuration["Role"]
        # Without a tag nothing says that it was another role.
        same = granted in (role, f"{role}{_WITHOUT_ACCOUNT}")
        lost = granted is not None and not same and seen.facts["configuration"]["Role"] == right

        def give(what: str, **params: Any) -> Change:
            call = Call(
                "lambda", "update_function_configuration", {"FunctionName": function, **params}, _PASSING
            )
            return Change("update", f"role of function {function}{what}", call)

        if same and context.settings.source_account:
            yield give(" again, since its trust policy names the account", **configuration)
        if lost:
            # Never that of the ingest function, which `token --rotate` may not hand to anybody.
            other = next(name for name in reversed(FUNCTIONS) if name != self.shape.function)
            yield give(" for a moment, since its own was made anew", Role=names.role_arn(other))
        params = {"Resource": names.function_arn(self.shape.function), "Tags": {ROLE_TAG: wanted}}
        yield Change(
            "set", f"tag {ROLE_TAG} of function {function}", Call("lambda", "tag_resource", params, _PASSING)
        )
        if lost:
            yield give("", **configuration)

    def _cap(self, settings: Settings) -> int | None:
        return settings.cap if self.shape.capped else None

    def _configuration(self, context: Context) -> dict[str, Any]:
        names = context.names
        shape = self.shape
        environment = shape.environment(names, context.settings, context.seen.facts["token_sha256"])
        return {
            "Runtime": RUNTIME,
            "Role": names.role_arn(shape.function),
            "Handler": f"{shape.function}.app.handler",
            "Description": f"imgpipe {shape.function}",
            "Timeout": shape.timeout,
            "MemorySize": shape.memory,
            "Environment": {"Variables": dict(environment)},
            "LoggingConfig": {
                "LogFormat": "JSON",
                "ApplicationLogLevel": "INFO",
                "SystemLogLevel": "INFO",
                "LogGroup": names.log_group(shape.function),
            },
        }

    def removals(self, context: Context) -> Iterator[Change]:
        if context.seen.detail == "deleting":
            return
        function = context.names.function(self.shape.function)
        call = Call("lambda", "delete_function", {"FunctionName": function}, LAMBDA_BUSY)
        yield Change("delete", f"function {function}", call)


def _grant(context: Context) -> str:
    """What the tag says once the function has its role."""
    role: str = context.seen.facts["role_id"]
    if context.settings.source_account or isinstance(role, Computed):
        return role
    return f"{role}{_WITHOUT_ACCOUNT}"


class Zip(bytes):
    """The bytes of a function's zip, printed by name and size."""

    function: str

    def __new__(cls, function: str) -> Zip:
        made = super().__new__(cls, package.build(function))
        made.function = function
        return made

    def __repr__(self) -> str:
        return f"<zip of lambda_src/{self.function}, {len(self)} bytes>"


def _failure(configuration: Mapping[str, Any]) -> str:
    """Why Lambda could not make or update the function; empty if it could."""
    for status, why in (("State", "StateReason"), ("LastUpdateStatus", "LastUpdateStatusReason")):
        if configuration.get(status) == "Failed":
            return str(configuration.get(why) or f"{status} is Failed")
    return ""


# What our functions run without, in the words that take it away. Each of them changes what they reach, what
# they run or what becomes of their events; tracing or more disk, which somebody may add, does not.
_WITHOUT: Mapping[str, Any] = {
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "Layers": [],
    "DeadLetterConfig": {"TargetArn": ""},
    "FileSystemConfigs": [],
    "KMSKeyArn": "",
}


def _added(found: Mapping[str, Any]) -> dict[str, Any]:
    """Those of _WITHOUT that the function has; AWS may tell the empty ones or leave them out."""

    def given(key: str, empty: Any) -> bool:
        value = found.get(key)
        return any((value or {}).get(part) for part in empty) if isinstance(empty, Mapping) else bool(value)

    return {key: empty for key, empty in _WITHOUT.items() if given(key, empty)}


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ. What an endpoint does not report at all is not compared."""
    return [
        key.lower() if key != "LoggingConfig" else "logging"
        for key, value in wanted.items()
        if found.get(key) != value and not (key == "LoggingConfig" and key not in found)
    ]
