"""One role for each function, with exactly what its code uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import ROLES
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, UP, Op, uses
from imgpipe_cli.aws.names import FAILED_INDEX, INDEX, UPLOAD_PREFIX, Names, plain_tags
from imgpipe_cli.deploy.resource import Call, Change, Context, Observed, Resource, Routine, TransientError
from imgpipe_cli.deploy.resources import results_bucket
from imgpipe_cli.events import Emit
from imgpipe_cli.session.settings import FEATURES, Settings

_POLICY = "imgpipe"
# What is known of the same bytes, the claim to ask about them, and the counters of the month. A transaction
# needs the actions of its parts.
_ASKING = ("BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
_NEW = TransientError("NoSuchEntity", why="the new role is not visible everywhere in IAM yet")
_BUSY = TransientError("ConcurrentModification", why="IAM is still working on another change of the role")
# "must delete policies first", "must detach all policies first": an instance profile never passes.
_GOING = TransientError("DeleteConflict", "policies first", "the role's policies are still going")


def trust_policy(names: Names, *, source_account: bool) -> dict[str, Any]:
    """Lambda may take the role, and with source_account only on behalf of this account."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    if source_account:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": names.account}}
    return {"Version": "2012-10-17", "Statement": [statement]}


def permissions(function: str, names: Names, settings: Settings) -> dict[str, Any]:
    """The function's policy document. Never logs:CreateLogGroup: with it, a late line would bring back
    a deleted log group without retention."""
    statements = {
        "ingest": lambda: _ingest(names, settings),
        "get_result": lambda: _get_result(names, settings),
        "web": lambda: _web(names, settings),
    }[function]()
    group = f"{names.log_group_arn(names.log_group(function))}:*"
    logs = _allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], group)
    return {"Version": "2012-10-17", "Statement": [*statements, logs]}


def _ingest(names: Names, settings: Settings) -> list[dict[str, Any]]:
    pictures = ["s3:GetObject", "s3:GetObjectVersion"]
    # Labels and properties are two features of one action.
    detect = list({f"rekognition:{FEATURES[feature]}" for feature in settings.features})
    return [
        _allow("ReadPictures", pictures, f"{names.bucket_arn}/*"),
        # Without the first S3 answers 403 for a picture that is gone, as if the role were wrong; the list of
        # versions tells what is gone from what S3 does not show yet.
        _allow("TellMissingFromDenied", ["s3:ListBucket", "s3:ListBucketVersions"], names.bucket_arn),
        # Rekognition has no resources to name for these.
        _allow("AnalyzePictures", detect, "*"),
        *_stores(
            settings,
            table=[_allow("StoreResults", ["dynamodb:GetItem", "dynamodb:PutItem"], names.table_arn)],
            s3=[
                *_read_objects(names),
                # Tagging: the marks of removed pictures carry the tag by which they expire.
                _allow("StoreResultObjects", ["s3:PutObject", "s3:PutObjectTagging"], _results(names)),
                _allow("KeepIndexObjects", ["s3:DeleteObject", "s3:PutObject"], *_object_indexes(names)),
            ],
        ),
        _allow("IndexResults", ["dynamodb:BatchWriteItem"], names.index_table_arn),
        _allow("AskOnceAndCount", [f"dynamodb:{one}" for one in _ASKING], names.index_table_arn),
        _allow("KeepFailedEvents", ["sqs:SendMessage"], names.queue_arn),
    ]


def _get_result(names: Names, settings: Settings) -> list[dict[str, Any]]:
    table = [_allow("ReadResults", ["dynamodb:GetItem"], names.table_arn)]
    return _stores(settings, table=table, s3=_read_objects(names))


def _web(names: Names, settings: Settings) -> list[dict[str, Any]]:
    return [
        *_stores(
            settings,
            table=[
                _allow("ListResults", ["dynamodb:Query"], *_table_indexes(names)),
                _allow("ReadResults", ["dynamodb:BatchGetItem", "dynamodb:GetItem"], names.table_arn),
            ],
            s3=_read_objects(names),
        ),
        _allow("FindPictures", ["dynamodb:GetItem", "dynamodb:Query"], names.index_table_arn),
        _allow("ShowPictures", ["s3:GetObject", "s3:GetObjectVersion"], f"{names.bucket_arn}/*"),
        _allow("SignUploads", ["s3:PutObject"], f"{names.bucket_arn}/{UPLOAD_PREFIX}*"),
    ]


def _stores(settings: Settings, **statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements for the stores in use: one, and both only while results move from one to the other."""
    return [statement for store in settings.open_stores for statement in statements[store]]


def _read_objects(names: Names) -> list[dict[str, Any]]:
    return [
        _allow("ReadResultObjects", ["s3:GetObject"], _results(names)),
        # To read the index by time, and without it S3 answers 403 for a result that is not there.
        _allow("ListResultObjects", ["s3:ListBucket"], names.results_bucket_arn),
    ]


def _results(names: Names) -> str:
    return f"{names.results_bucket_arn}/results/*"


def _object_indexes(names: Names) -> list[str]:
    return [
        f"{names.results_bucket_arn}/{prefix}*"
        for prefix in (results_bucket.INDEX, results_bucket.FAILED_INDEX)
    ]


def _table_indexes(names: Names) -> list[str]:
    return [f"{names.table_arn}/index/{index}" for index in (INDEX, FAILED_INDEX)]


def _allow(sid: str, actions: list[str], *resources: str) -> dict[str, Any]:
    found = resources[0] if len(resources) == 1 else list(resources)
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": found}


def role_id(aws: Aws, names: Names, function: str) -> str | None:
    """The id of a function's role, looked up once a run: another one of the same name has another id."""

    def look() -> str | None:
        found = aws.find("iam", "get_role", RoleName=names.role(function))
        return None if found is None else str(found["Role"]["RoleId"])

    return aws.known.get(_id_of(function), look)


def _id_of(function: str) -> str:
    return f"role_id.{function}"


class Role(Resource):
    """A function's execution role with one inline policy."""

    iam = (
        *uses(LOOK, ROLES, "iam.get_role", "iam.get_role_policy"),
        *uses(UP, ROLES, Op("iam.create_role", also=("iam:TagRole",))),
        *uses(UP, ROLES, "iam.put_role_policy", "iam.update_assume_role_policy"),
        *uses(("status", "down"), ROLES, "iam.list_role_policies", "iam.list_attached_role_policies"),
        *uses(DOWN, ROLES, "iam.delete_role_policy", "iam.detach_role_policy", "iam.delete_role"),
    )
    needs = ("settings",)

    def __init__(self, function: str) -> None:
        self.function = function
        self.name = f"role.{function}"
        called = "ingest function" if function == "ingest" else f"function {function}"
        self.title = f"the role of the {called}"

    def observe(self, aws: Aws, names: Names) -> Observed:
        role = names.role(self.function)
        find = partial(aws.find, "iam", RoleName=role)
        found: dict[str, Any] = {}

        def look() -> str | None:
            reads = {
                "role": lambda: find("get_role"),
                "policy": lambda: find("get_role_policy", PolicyName=_POLICY),
            }
            found.update(aws.together(reads))
            return None if found["role"] is None else str(found["role"]["Role"]["RoleId"])

        # Its function asks for the id at the same time: one look answers both.
        if aws.known.learn(_id_of(self.function), look) is None:
            return Observed(exists=False, facts={"trust": None, "policy": None})
        return _observed(found["role"]["Role"], found["policy"] and found["policy"]["PolicyDocument"], names)

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        role = names.role(self.function)
        trust = trust_policy(names, source_account=context.settings.source_account)
        policy = permissions(self.function, names, context.settings)
        if not observed.exists:
            params = {
                "RoleName": role,
                "AssumeRolePolicyDocument": json.dumps(trust),
                "Tags": names.tag_list,
            }
            yield Change("create", f"role {role}", Call("iam", "create_role", params, (_BUSY,)))
        elif observed.facts["trust"] != trust:
            params = {"RoleName": role, "PolicyDocument": json.dumps(trust)}
            call = Call("iam", "update_assume_role_policy", params, (_NEW, _BUSY))
            yield Change("update", f"trust policy of role {role}", call)
        if observed.facts["policy"] != policy:
            params = {"RoleName": role, "PolicyName": _POLICY, "PolicyDocument": json.dumps(policy)}
            call = Call("iam", "put_role_policy", params, (_NEW, _BUSY))
            yield Change("set", f"policy of role {role}", call)

    def answered(
        self, aws: Aws, context: Context, change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        observed, params = context.observed, change.call.params
        match change.call.label:
            case "iam.create_role":
                aws.known.tell(_id_of(self.function), str(answer["Role"]["RoleId"]))
                return _observed({**answer["Role"], "Tags": params["Tags"]}, None, context.names)
            case "iam.put_role_policy":
                return replace(
                    observed, facts={**observed.facts, "policy": json.loads(params["PolicyDocument"])}
                )
        return None

    def unmanaged_changes(self, aws: Aws, names: Names, observed: Observed) -> Iterator[str]:
        """Policies that give more than the function uses, or take away what it needs."""
        if not observed.exists:
            return
        role = names.role(self.function)
        if observed.facts["boundary"]:
            yield f"role {role} has the permissions boundary {observed.facts['boundary']}"
        find = partial(aws.items, "iam", RoleName=role)
        for policy in find("list_role_policies", "PolicyNames"):
            if policy != _POLICY:
                yield f"role {role} has the inline policy {policy}, which imgpipe did not make"
        for attached in find("list_attached_role_policies", "AttachedPolicies"):
            yield f"role {role} has the policy {attached['PolicyArn']}, which imgpipe did not attach"

    def removals(self, context: Context) -> Iterator[Change]:
        role = context.names.role(self.function)

        def detach(aws: Aws, _emit: Emit) -> None:
            _strip(aws, role)

        operations = (
            "iam.list_role_policies",
            "iam.delete_role_policy",
            "iam.list_attached_role_policies",
            "iam.detach_role_policy",
        )
        yield Change(
            "detach", f"policies of role {role}", Routine("strip_role", operations, detach, (_BUSY,))
        )
        call = Call("iam", "delete_role", {"RoleName": role}, (_GOING, _BUSY))
        yield Change("delete", f"role {role}", call)


def _observed(role: Mapping[str, Any], policy: Mapping[str, Any] | None, names: Names) -> Observed:
    """A role that is there, as GetRole and CreateRole describe it, with the document of its policy."""
    tags = plain_tags(role.get("Tags", []))
    return Observed(
        exists=True,
        owned=names.owns(tags),
        tags=tags,
        facts={
            "trust": role["AssumeRolePolicyDocument"],
            "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "policy": policy,
        },
    )


def _strip(aws: Aws, role: str) -> None:
    """Take every policy off the role, also those that others attached: a role with one cannot go."""
    find = partial(aws.find, "iam", RoleName=role)
    found = aws.together(
        {
            "own": lambda: find("delete_role_policy", PolicyName=_POLICY),
            "inline": lambda: find("list_role_policies"),
            "attached": lambda: find("list_attached_role_policies"),
        }
    )
    for policy in (found["inline"] or {}).get("PolicyNames", []):
        if policy != _POLICY:
            find("delete_role_policy", PolicyName=policy)
    for attached in (found["attached"] or {}).get("AttachedPolicies", []):
        find("detach_role_policy", PolicyArn=attached["PolicyArn"])
