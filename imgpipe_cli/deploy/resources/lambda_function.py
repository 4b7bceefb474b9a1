"""A Lambda function: its code, its configuration, its role and how often it may run at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.iam.scopes import FUNCTION, HOLDERS, HOLDERS_PASSED, HOLDERS_ROLES, INGEST, PASSED
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, TOKEN, UP, Op, uses
from imgpipe_cli.aws.names import FUNCTIONS, Names
from imgpipe_cli.deploy.resource import Call, Change, Computed, Context, Observed, Resource
from imgpipe_cli.deploy.resources.iam_role import role_id
from imgpipe_cli.deploy.resources.lambda_concurrency import capping
from imgpipe_cli.deploy.resources.lambda_configuration import (
    ARCHITECTURES,
    Shape,
    Zip,
    configuration_of,
    differing,
    failure,
    surplus,
)
from imgpipe_cli.deploy.resources.lambda_errors import CHANGING, LAMBDA_BUSY
from imgpipe_cli.deploy.resources.token_parameter import token_sha256
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas import package
from imgpipe_cli.session.settings import Settings

# Lambda lets the role with this id decrypt the environment. A role made anew under the same name has another
# id, and every call of the function fails with KMSAccessDeniedException until it is given the role anew.
ROLE_TAG = "RoleId"
# Behind the id: the role was given while its trust policy did not name the account.
_WITHOUT_ACCOUNT = " without aws:SourceAccount"
# Without the tags in the answer a function looks like somebody else's.
_GET = Op("lambda.get_function", also=("lambda:ListTags",))
_PASSED = (PASSED, "iam:PassRole")
_HOLDERS_PASSED = (HOLDERS_PASSED, "iam:PassRole")


class Function(Resource):
    """A Lambda function: code, configuration and environment follow the checkout and the settings."""

    iam = (
        *uses(LOOK, FUNCTION, _GET),
        *uses(UP, FUNCTION, Op("lambda.create_function", also=("lambda:TagResource", _PASSED))),
        *uses(UP, FUNCTION, "lambda.update_function_code", "lambda.tag_resource"),
        *uses(UP, FUNCTION, Op("lambda.update_function_configuration", also=(_PASSED,))),
        *uses(UP, INGEST, "lambda.put_function_concurrency"),
        *uses(UP, FUNCTION, "lambda.delete_function_concurrency"),
        *uses(DOWN, FUNCTION, "lambda.delete_function"),
        *uses(TOKEN, HOLDERS_ROLES, "iam.get_role"),
        *uses(TOKEN, HOLDERS, _GET, "lambda.update_function_code", "lambda.tag_resource"),
        *uses(TOKEN, HOLDERS, Op("lambda.update_function_configuration", also=(_HOLDERS_PASSED,))),
    )
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
        return _observed(found["function"], asked, names)

    def answered(
        self, _aws: Aws, context: Context, change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        observed, params = context.observed, change.call.params
        match change.call.label:
            case "lambda.create_function":
                made = {"Configuration": answer, "Tags": params["Tags"]}
                # Pending keeps nobody from what is beside the function; the look waits until it is Active.
                return replace(_observed(made, observed.facts, context.names), ready=True)
            case "lambda.put_function_concurrency":
                reserved = answer["ReservedConcurrentExecutions"]
                return replace(observed, facts={**observed.facts, "reserved": reserved})
        return None

    def _token_hash(self, aws: Aws, names: Names) -> str:
        """The hash the function must hold; of the placeholder while there is no token yet."""
        if not self.shape.needs_token:
            return ""
        return token_sha256(aws, names) or Computed("hash of the new token")

    def _role_id(self, aws: Aws, names: Names) -> str:
        return role_id(aws, names, self.shape.function) or Computed("id of the new role")

    def completed(self, observed: Observed, aws: Aws, names: Names) -> Observed:
        # Known since the last look at the role, which may have been made meanwhile.
        facts = {**observed.facts, "role_id": self._role_id(aws, names)}
        if isinstance(facts["token_sha256"], Computed):
            facts["token_sha256"] = self._token_hash(aws, names)
        return replace(observed, facts=facts)

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names, settings = context.observed, context.names, context.settings
        function = names.function(self.shape.function)
        configuration = configuration_of(self.shape, context)
        code = {"ZipFile": Zip(self.shape.function)}
        if not observed.exists:
            params = {
                "FunctionName": function,
                **configuration,
                "Code": code,
                "Architectures": ARCHITECTURES,
                "Tags": {**names.tags, ROLE_TAG: _grant(context)},
            }
            call = Call("lambda", "create_function", params, CHANGING)
            yield Change("create", f"function {function}", call)
            yield from capping(function, None, self._cap(settings))
            return
        if observed.facts["configuration"].get("PackageType", "Zip") != "Zip":
            raise Problem(
                "function_differs",
                f"The function {function} is a container image, not a zip, which Lambda cannot change.",
                hint=f"Remove it: aws lambda delete-function --function-name {function}; then imgpipe up.",
            )
        if (
            observed.facts["sha256"] != package.code_sha256(self.shape.function)
            or observed.facts["architectures"] != ARCHITECTURES
        ):
            params = {"FunctionName": function, **code, "Architectures": ARCHITECTURES}
            call = Call("lambda", "update_function_code", params, CHANGING)
            yield Change("update", f"code of function {function}", call)
        yield from capping(function, observed.facts["reserved"], self._cap(settings))
        yield from self._given_anew(context, configuration)
        added = surplus(observed.facts["configuration"])
        others = [*differing(configuration, observed.facts["configuration"]), *map(str.lower, added)]
        if others:
            params = {"FunctionName": function, **configuration, **added}
            call = Call("lambda", "update_function_configuration", params, CHANGING)
            yield Change("update", f"{', '.join(others)} of function {function}", call)
        elif observed.facts["failed"]:
            raise Problem(
                "function_failed",
                f"Lambda could not make the function {function}: {observed.facts['failed']}",
                hint="Remove the cause. If imgpipe up says the same again, imgpipe down and up make it anew.",
            )

    def _given_anew(self, context: Context, configuration: Mapping[str, Any]) -> Iterator[Change]:
        """Give the function its role anew where that is another one of the same name: first some other role,
        then the tag, then the right one, as with any wrong role. A stop in between is gone on from there.

        Where the role's trust policy names the account again, its own is given to it again before the tag
        says so: Lambda refuses that if it cannot take the role now.
        """
        observed, names = context.observed, context.names
        wanted, granted, role = _grant(context), observed.facts["granted"], observed.facts["role_id"]
        # While there is no role there is none to give.
        if granted == wanted or isinstance(wanted, Computed):
            return
        function, right = names.function(self.shape.function), configuration["Role"]
        # Without a tag nothing says that it was another role.
        same = granted in (role, f"{role}{_WITHOUT_ACCOUNT}")
        lost = granted is not None and not same and observed.facts["configuration"]["Role"] == right

        def give(what: str, **params: Any) -> Change:
            call = Call(
                "lambda", "update_function_configuration", {"FunctionName": function, **params}, CHANGING
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
            "set", f"tag {ROLE_TAG} of function {function}", Call("lambda", "tag_resource", params, CHANGING)
        )
        if lost:
            yield give("", **configuration)

    def _cap(self, settings: Settings) -> int | None:
        return settings.cap if self.shape.capped else None

    def removals(self, context: Context) -> Iterator[Change]:
        if context.observed.detail == "deleting":
            return
        function = context.names.function(self.shape.function)
        call = Call("lambda", "delete_function", {"FunctionName": function}, LAMBDA_BUSY)
        yield Change("delete", f"function {function}", call)


def _observed(found: Mapping[str, Any], asked: Mapping[str, Any], names: Names) -> Observed:
    """A function that is there, as GetFunction describes it. asked: the facts that it does not tell."""
    configuration, tags = found["Configuration"], found.get("Tags", {})
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
            "failed": failure(configuration),
            "reserved": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        },
    )


def _grant(context: Context) -> str:
    """What the tag says once the function has its role."""
    role: str = context.observed.facts["role_id"]
    if context.settings.source_account or isinstance(role, Computed):
        return role
    return f"{role}{_WITHOUT_ACCOUNT}"
