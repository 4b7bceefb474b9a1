"""The operator's policy: every command works with exactly what it allows, and nothing of it is too much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.iam import scopes
from imgpipe_cli.aws.iam.uses import COMMANDS
from imgpipe_cli.aws.names import FUNCTIONS, Names
from imgpipe_cli.deploy import permissions
from tests.local.cli import any_call
from tests.local.cli.every_command import use
from tests.local.cli.operator_user import CHECKED_AGAINST_ANY, Operator, make_operator
from tests.local.cli.touched import about
from tests.support.machine import Machine

NAMES = Names("operated", "000000000000", "us-east-1")
NEIGHBOUR = Names("neighbour", "000000000000", "us-east-1")
# Whose names no request holds.
UNNAMED = (scopes.API_LIST,)
WHO = ("sts", "get_caller_identity")


@pytest.fixture(scope="module")
def operator(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator who has used every command, under exactly the printed policy; nothing is left of it.

    The neighbour's pipeline keeps the local cloud running.
    """
    machine.imgpipe("up", "--local", "--project", "neighbour", "--no-models")
    found = make_operator(machine, tmp_path_factory.mktemp("operator"), NAMES)
    found.allow(permissions.document(NAMES))
    use(found, machine)
    s3 = machine.client("s3")
    # Of a bucket that is not there, the local cloud says so without looking at rights.
    buckets = (NAMES.bucket, NAMES.results_bucket, NEIGHBOUR.results_bucket)
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket)
    yield found
    found.remove()
    for bucket in buckets:
        s3.delete_bucket(Bucket=bucket)
    machine.imgpipe("down", "--local", "--project", "neighbour", "--yes", code=None)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_sends_exactly_the_calls_that_its_policy_is_made_of(
    operator: Operator, command: str
) -> None:
    rows = {call for call, entry in permissions.CALLS.items() if command in entry.commands}
    assert operator.sent[command] - rows - {WHO} == set(), "calls without a row for this command"
    assert rows - operator.sent[command] == set(), "rows that no use of this command needs"


# Their calls differ with the state of the pipeline: a run need not send each of them about each resource.
VARYING = ("up", "explain", "token", "status", "down")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_action_is_allowed_on_what_the_commands_calls_are_about(
    operator: Operator, command: str
) -> None:
    allowed_on: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    used_on: dict[tuple[str, str, str], set[str]] = {}
    for call, entry in permissions.needs([command]).items():
        touched = operator.touched[command, call]
        for grant in entry.grants:
            if grant.scope.why or grant.scope in UNNAMED:
                continue
            key = (*call, grant.action)
            allowed_on[key] |= {arn.removesuffix(":*").removesuffix("/*") for arn in grant.scope.arns(NAMES)}
            used_on[key] = {arn for arn in touched if about(arn, grant.action, call[1], touched)}
    beside = {key: found for key, arns in allowed_on.items() if (found := used_on[key] - arns)}
    assert beside == {}, "used, and not allowed"
    of_all = set().union(*(arns for (by, _), arns in operator.touched.items() if by == command))
    too_much = {
        key: found
        for key, arns in allowed_on.items()
        if (found := arns - (used_on[key] | of_all if command in VARYING else used_on[key]))
    }
    assert too_much == {}, "allowed, and not used"


# --- nothing of it is too much ---------------------------------------------------------------------

RESULTS_ONLY = (scopes.RESULTS, scopes.STORED)
# The operation alone does not say that it is about one version.
INSTEAD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "s3:DeleteObjectVersion": ("s3", "delete_object", {"VersionId": "null"}),
}
# Not an action of its own for the local cloud.
UNKNOWN_HERE = ("lambda:GetFunctionEventInvokeConfig", "lambda:PutFunctionEventInvokeConfig")
# Checked under one name with the removal of the cap, which is allowed on more functions.
AS_ITS_REMOVAL = ("lambda:PutFunctionConcurrency",)
# What the local cloud does not have, and an action that it knows no name of.
NOT_OFFERED = (
    "lambda:GetAccountSettings",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListServiceQuotas",
)
# What AWS checks beside the action of the call itself, and the local cloud does not: the ARNs of each.
FUNCTIONS_ARNS = [NAMES.function_arn(function) for function in FUNCTIONS]
ROLE_ARNS = [NAMES.role_arn(function) for function in FUNCTIONS]
GROUP_ARNS = [
    *(NAMES.log_group_arn(NAMES.log_group(function)) for function in FUNCTIONS),
    NAMES.log_group_arn(NAMES.access_log_group),
]
GATEWAY = "arn:aws:apigateway:us-east-1::"
NOT_CHECKED_HERE = {
    ("Buckets", "s3:TagResource"): [NAMES.bucket_arn, NAMES.results_bucket_arn],
    ("StoredResults", "s3:PutObjectTagging"): [f"{NAMES.results_bucket_arn}/*"],
    ("Tables", "dynamodb:TagResource"): [NAMES.table_arn, NAMES.index_table_arn],
    ("Roles", "iam:TagRole"): ROLE_ARNS,
    ("PassRoles", "iam:PassRole"): ROLE_ARNS,
    ("Functions", "lambda:ListTags"): FUNCTIONS_ARNS,
    **{
        ("IngestFunction", action): [NAMES.function_arn("ingest")]
        for action in (*UNKNOWN_HERE, *AS_ITS_REMOVAL)
    },
    **{("Account", action): ["*"] for action in NOT_OFFERED},
    ("FailureQueue", "sqs:TagQueue"): [NAMES.queue_arn],
    ("LogGroupTags", "logs:TagResource"): GROUP_ARNS,
    ("Apis", "apigateway:TagResource"): [f"{GATEWAY}/apis", f"{GATEWAY}/apis/*"],
    ("ApiTags", "apigateway:POST"): [
        f"{GATEWAY}/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fv2%2Fapis%2F*"
    ],
    ("ApiGatewayRole", "iam:CreateServiceLinkedRole"): [
        "arn:aws:iam::000000000000:role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway"
    ],
    **{
        ("AnyLogs", f"logs:{action}"): ["*"]
        for action in (
            "CreateLogDelivery",
            "DeleteLogDelivery",
            "DescribeResourcePolicies",
            "GetLogDelivery",
            "ListLogDeliveries",
            "PutResourcePolicy",
            "UpdateLogDelivery",
        )
    },
}


def allowed() -> dict[tuple[str, str], list[str]]:
    """(statement, action) -> ARNs."""
    statements = permissions.document(NAMES)["Statement"]
    return {(one["Sid"], action): one["Resource"] for one in statements for action in one["Action"]}


def asks_for(statement: str, action: str) -> tuple[str, str, dict[str, Any]] | None:
    """A call for which the local cloud checks just this action on just these resources."""
    if action in (*UNKNOWN_HERE, *AS_ITS_REMOVAL, *NOT_OFFERED):
        return None
    if action in INSTEAD:
        return INSTEAD[action]
    for (service, operation), entry in permissions.CALLS.items():
        for grant in entry.grants:
            if grant.scope is scopes.API_TAGS:
                continue  # of the tags that a call brings along
            if (grant.scope.name, grant.action) == (statement, action) and action == entry.actions[0]:
                return service, operation, {}
    return None


CHECKED = [pair for pair in allowed() if asks_for(*pair)]


def asked(operator: Operator, statement: str, action: str, names: Names = NAMES) -> str:
    """What comes of the call that asks for the action."""
    call = asks_for(statement, action)
    assert call is not None
    service, operation, more = call
    # Of the ingest function more is allowed than of the others.
    function = "web" if statement == scopes.FUNCTION.name else "ingest"
    results = statement in [scope.name for scope in RESULTS_ONLY]
    known = any_call.of(names, results=results, function=function)
    if statement == scopes.INDEX_TABLE.name:
        known = known | {
            "TableName": names.index_table,
            "RequestItems": {names.index_table: [{"DeleteRequest": {"Key": {"x": {"S": "x"}}}}]},
        }
    if statement == scopes.TABLE_INDEX.name:
        more = {"IndexName": known["IndexName"]}
    return any_call.answer(operator.client(service), operation, known, **more)


@pytest.mark.parametrize(("statement", "action"), CHECKED)
def test_without_one_action_of_one_statement_its_call_is_denied(
    operator: Operator, statement: str, action: str
) -> None:
    policy = permissions.document(NAMES)
    less = [
        {**one, "Action": [name for name in one["Action"] if (one["Sid"], name) != (statement, action)]}
        for one in policy["Statement"]
    ]
    operator.allow({**policy, "Statement": [one for one in less if one["Action"]]})
    assert asked(operator, statement, action) == "denied"


def test_what_only_aws_checks_is_listed_with_its_resources() -> None:
    unproven = {pair: arns for pair, arns in allowed().items() if pair not in CHECKED}
    assert unproven == {pair: sorted(arns) for pair, arns in NOT_CHECKED_HERE.items()}
    (passing,) = [one for one in permissions.document(NAMES)["Statement"] if "iam:PassRole" in one["Action"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


# --- nothing beside it -----------------------------------------------------------------------------

WIDE = {"Account", "Apis", "ApiTags", "AnyLogs", "ApiList"}


@pytest.mark.parametrize(
    ("statement", "action"),
    [(s, a) for s, a in CHECKED if s not in WIDE and a not in CHECKED_AGAINST_ANY],
)
def test_the_neighbours_resources_are_out_of_reach(operator: Operator, statement: str, action: str) -> None:
    operator.allow(permissions.document(NAMES))
    assert asked(operator, statement, action, NEIGHBOUR) == "denied"


@pytest.mark.parametrize(
    ("service", "operations"),
    [
        (
            "s3",
            "list_buckets put_bucket_acl get_bucket_acl put_bucket_website put_bucket_replication "
            "put_bucket_logging delete_bucket_policy get_object_acl put_object_acl put_object_retention",
        ),
        (
            "dynamodb",
            "list_tables delete_item update_item query batch_write_item create_backup "
            "update_continuous_backups untag_resource",
        ),
        (
            "iam",
            "list_roles attach_role_policy create_user put_user_policy create_access_key create_policy "
            "update_role delete_user put_role_permissions_boundary",
        ),
        (
            "lambda",
            "list_functions publish_version create_alias create_function_url_config",
        ),
        ("sqs", "list_queues send_message purge_queue add_permission"),
        (
            "logs",
            "put_log_events create_log_stream delete_retention_policy put_subscription_filter "
            "describe_log_streams",
        ),
        ("ssm", "describe_parameters get_parameters_by_path delete_parameters get_parameter_history"),
        ("sts", "assume_role"),
        ("rekognition", "detect_labels"),
        ("apigatewayv2", "get_domain_names create_domain_name get_vpc_links reimport_api"),
    ],
)
def test_what_no_command_sends_is_denied_on_the_pipeline_too(
    operator: Operator, service: str, operations: str
) -> None:
    operator.allow(permissions.document(NAMES))
    client, known = operator.client(service), any_call.of(NAMES)
    found = {name: any_call.answer(client, name, known) for name in operations.split()}
    assert found == dict.fromkeys(found, "denied")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_alone_needs_no_more_than_it_is_said_to(operator: Operator, command: str) -> None:
    """Its own policy is a part of the whole one, and denies what only other commands send."""
    own = permissions.document(NAMES, [command])
    operator.allow(own)
    allowed = {action for one in own["Statement"] for action in one["Action"]}
    others = [pair for pair in CHECKED if pair[1] not in allowed]
    assert others
    denied = {pair: asked(operator, *pair) for pair in others}
    assert denied == dict.fromkeys(denied, "denied")
