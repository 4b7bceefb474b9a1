"""The operator's policy is exact: nothing but the pipeline's own, in a form and size that IAM takes."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import DataNotFoundError, UnknownServiceError

from imgpipe_cli.aws.iam import scopes
from imgpipe_cli.aws.iam.action_names import action_of
from imgpipe_cli.aws.iam.scopes import Scope
from imgpipe_cli.aws.iam.uses import COMMANDS
from imgpipe_cli.aws.names import PROJECT_MAX, Names
from imgpipe_cli.commands.program import program
from imgpipe_cli.deploy import permissions
from imgpipe_cli.deploy.resource import Resource
from imgpipe_cli.deploy.resources.lambda_function import Function
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.errors import ExitCode, Problem

NAMES = Names("demo", "123456789012", "eu-west-1")
LONGEST = Names("x" * PROJECT_MAX, "123456789012", "ap-southeast-1")
# Of these no pipeline's resource can be named; aws/iam/scopes.py says why.
WIDE = {"Account", "AnyLogs", "ApiGatewayRole", "ApiTags", "Apis"}
# The local cloud is not AWS, and doctor also tells what it may not ask.
WITHOUT_POLICY = {"local", "policy", "doctor"}


def grants(policy: dict[str, Any]) -> set[tuple[str, str]]:
    """(action, resource), of the same service: to no other resource can an action apply."""
    return {
        (action, resource)
        for one in policy["Statement"]
        for action in listed(one["Action"])
        for resource in listed(one["Resource"])
        if resource == "*" or resource.split(":")[2] == action.partition(":")[0]
    }


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("commands", [COMMANDS, *((one,) for one in COMMANDS)])
def test_only_the_pipelines_own_resources_are_named(commands: Sequence[str]) -> None:
    for statement in permissions.document(NAMES, commands)["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Sid"] in WIDE:
            continue
        for arn in statement["Resource"]:
            # A bucket's objects, and a log group as IAM has it; nothing else is left open.
            assert "*" not in arn.removesuffix("/*").removesuffix(":*"), arn
            own = ("apis",) if statement["Sid"] == "ApiList" else ("demo-", "imgpipe/demo/")
            assert any(part in arn for part in own), arn


def test_a_star_stands_alone_only_for_what_has_no_resources() -> None:
    alone = [one for one in permissions.document(NAMES)["Statement"] if "*" in one["Resource"]]
    services = {one["Sid"]: {action.partition(":")[0] for action in one["Action"]} for one in alone}
    assert services == {"AnyLogs": {"logs"}, "Account": {"lambda", "servicequotas"}}


def test_what_is_wider_than_the_pipeline_says_why() -> None:
    named = [found for found in vars(scopes).values() if isinstance(found, Scope)]
    assert {scope.name for scope in named if scope.why} == WIDE


def test_ids_of_statements_are_unique_and_such_as_iam_takes() -> None:
    ids = [one["Sid"] for one in permissions.document(NAMES)["Statement"]]
    assert len(set(ids)) == len(ids)
    assert all(one.isalnum() and one.isascii() for one in ids)


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-1"])
def test_the_whole_policy_of_a_usual_name_is_one_that_iam_takes(region: str) -> None:
    names = Names("imgpipe", "123456789012", region)
    (policy,) = permissions.fitted(permissions.document(names, optional=False))
    assert permissions.size(policy) <= permissions.SIZE_MAX
    _, *second = permissions.fitted(permissions.document(names))
    needed = grants(permissions.document(names, optional=False))
    assert not second or grants(second[0]).isdisjoint(needed), "what is needed is in the first"


def test_what_is_optional_is_in_the_policy_and_says_what_is_so_without_it() -> None:
    every, needed = (grants(permissions.document(NAMES, optional=optional)) for optional in (True, False))
    assert {action for action, _ in every - needed} == {
        "lambda:GetAccountSettings",
        "servicequotas:ListAWSDefaultServiceQuotas",
        "servicequotas:ListServiceQuotas",
    }
    optional = [entry for entry in permissions.CALLS.values() if entry.optional]
    assert all(entry.optional.startswith("without it, up ") for entry in optional)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_one_command_needs_is_one_policy_whatever_the_name(command: str) -> None:
    assert len(permissions.fitted(permissions.document(LONGEST, [command]))) == 1


def test_a_policy_that_is_too_long_is_divided_and_nothing_is_lost() -> None:
    whole = permissions.document(LONGEST)
    assert permissions.size(whole) > permissions.SIZE_MAX
    parts = permissions.fitted(whole)
    assert all(permissions.size(part) <= permissions.SIZE_MAX for part in parts)
    assert set().union(*map(grants, parts)) == grants(whole)
    conditions = [one["Condition"] for part in parts for one in part["Statement"] if "Condition" in one]
    assert conditions == [{"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}]


def test_the_policy_of_all_commands_is_the_policies_of_each() -> None:
    each = [permissions.document(NAMES, [command]) for command in COMMANDS]
    one_by_one = set().union(*map(grants, each))
    assert grants(permissions.document(NAMES)) == one_by_one


def test_every_command_that_calls_aws_has_a_policy() -> None:
    assert set(COMMANDS) == set(program().commands) - WITHOUT_POLICY


@pytest.mark.parametrize("commands", [["fly"], ["up", "local"], []])
def test_a_command_that_is_none_is_wrong_usage(commands: list[str]) -> None:
    with pytest.raises(Problem) as refused:
        permissions.document(NAMES, commands)
    assert refused.value.exit_code is ExitCode.USAGE
    assert "up, upload" in refused.value.hint


# Sent by the SDK itself, for a profile that takes a role.
OF_THE_SDK = {"assume_role"}
# What Lambda asks by itself for the tags in its answer to GetFunction.
OF_LAMBDA = {"list_tags"}
# What needs no policy: the local cloud is not AWS, and doctor also tells what it may not ask.
FOLDERS_WITHOUT_POLICY = {"local", "doctor"}


_SDK = botocore.session.get_session()


@cache
def operations(service: str) -> set[str]:
    """Its operations, by boto3's names; none where AWS has no such service."""
    try:  # the list of services may be imgpipe's own by now, which holds every name
        model = _SDK.get_service_model(service)
    except (UnknownServiceError, DataNotFoundError):
        return set()
    return {xform_name(name) for name in model.operation_names}


def named_in(source: str) -> tuple[set[tuple[str, str]], set[str]]:
    """The calls that the code names by service and operation, of any service, and the operations of imgpipe's
    services that it names alone."""
    known = set().union(*(operations(service) for service, _ in permissions.CALLS))
    pairs: set[tuple[str, str]] = set()
    alone: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            words = [str(arg.value) if isinstance(arg, ast.Constant) else "" for arg in node.args]
            pairs |= {(one, two) for one, two in pairwise(words) if two in operations(one)}
        elif isinstance(node, ast.Constant) and node.value in known:
            alone.add(str(node.value))
    return pairs, alone


def test_every_call_in_the_code_has_a_row() -> None:
    """Also one that no test provokes."""
    root = Path(permissions.__file__).parents[1]
    files = [path for path in root.rglob("*.py") if FOLDERS_WITHOUT_POLICY.isdisjoint(path.parts)]
    code = {path: named_in(path.read_text()) for path in files if path != Path(permissions.__file__)}
    pairs = {pair for found, _ in code.values() for pair in found}
    assert pairs - permissions.CALLS.keys() == set()
    with_rows = {operation for _, operation in permissions.CALLS} | OF_THE_SDK
    assert {operation for _, found in code.values() for operation in found} - with_rows == OF_LAMBDA


def test_a_call_in_the_code_is_found() -> None:
    assert named_in('Overwrite("ssm", "put_parameter", {})')[0] == {("ssm", "put_parameter")}
    assert named_in('Call("sns", "create_topic", {})')[0] == {("sns", "create_topic")}
    assert named_in('part("get_bucket_tagging", "Tags")')[1] == {"get_bucket_tagging"}


@pytest.mark.parametrize("resource", [resource for step in STEPS for resource in step.resources])
def test_a_resource_names_only_operations_that_exist(resource: Resource) -> None:
    assert resource.iam
    assert [row for row in resource.iam if row.operation not in operations(row.service)] == []


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("sns.create_topic", "sns:CreateTopic"),
        ("s3.head_bucket", "s3:ListBucket"),
        ("apigatewayv2.delete_api", "apigateway:DELETE"),
        ("sqs.delete_message_batch", "sqs:DeleteMessage"),
    ],
)
def test_iam_s_name_of_an_operation(call: str, action: str) -> None:
    service, operation = call.split(".")
    assert action_of(service, operation) == action


def test_who_is_calling_may_be_asked_by_everybody() -> None:
    assert permissions.CALLS["sts", "get_caller_identity"].actions == ()


def test_what_a_role_is_passed_to_is_bound_and_only_up_and_token_pass_one() -> None:
    passing = {
        command
        for command in COMMANDS
        if "iam:PassRole" in json.dumps(permissions.document(NAMES, [command]))
    }
    assert passing == {"up", "token"}


def test_a_rotation_of_the_token_concerns_the_functions_that_check_it_only() -> None:
    shapes = [one.shape for step in STEPS for one in step.resources if isinstance(one, Function)]
    assert {one.function for one in shapes if one.needs_token} == set(scopes.TOKEN_HOLDERS)
    resources = {resource for _, resource in grants(permissions.document(NAMES, ["token"]))}
    concerned = {arn for arn in resources if ":function:" in arn or ":role/" in arn}
    held = scopes.TOKEN_HOLDERS
    assert concerned == {*map(NAMES.function_arn, held), *map(NAMES.role_arn, held)}


def test_an_explanation_reads_no_log_of_the_page() -> None:
    explain = grants(permissions.document(NAMES, ["explain"]))
    read = {resource for action, resource in explain if action == "logs:FilterLogEvents"}
    groups = (NAMES.log_group_arn(NAMES.log_group(function)) for function in ("ingest", "get_result"))
    assert read == {f"{arn}:*" for arn in groups}


@pytest.mark.parametrize("command", permissions.CALLS["s3", "head_object"].commands)
def test_who_asks_for_a_picture_is_told_that_there_is_none(command: str) -> None:
    """S3 answers 403, not 404, to who may not list the bucket; `upload --wait` took it for still there."""
    assert ("s3:ListBucket", NAMES.bucket_arn) in grants(permissions.document(NAMES, [command]))


def test_tags_of_apis_are_no_tags_of_other_things_of_api_gateway() -> None:
    """In the words of AWS's refusals."""
    (tags,) = scopes.API_TAGS.arns(NAMES)
    api = "arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Fv2%2Fapis%2F"
    assert tags == f"arn:aws:apigateway:eu-west-1::/tags/{api}*"


def test_only_the_role_of_api_gateway_itself_may_be_made_for_it() -> None:
    granted = grants(permissions.document(NAMES))
    made = [arn for action, arn in granted if action == "iam:CreateServiceLinkedRole"]
    linked = "role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway"
    assert made == [f"arn:aws:iam::123456789012:{linked}"]


def test_other_worlds_of_aws_have_their_own_arns() -> None:
    policy = permissions.document(Names("demo", "123456789012", "cn-north-1", "aws-cn"))
    arns = {arn for _, arn in grants(policy)} - {"*"}
    assert all(arn.startswith("arn:aws-cn:") for arn in arns)
