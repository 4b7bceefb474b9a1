"""What never passes on AWS: the run ends in time, in a message that names the cause and says what to do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.errors import Problem
from tests.support import exhaustive
from tests.support.account import NAMES, SETTINGS, RecordingAws, down, finished, up
from tests.support.behaving_aws import BehavingAccount, BehavingAws, Behaviour, Refusal, behaving_account
from tests.support.behaviours_of_functions import (
    DestinationChecked,
    DuplicateStatement,
    EnvironmentChecked,
    FunctionDeleting,
    FunctionFails,
    FunctionPending,
    KeyNotGranted,
    PolicyNotVisible,
    QueueDeletedRecently,
    RoleNotAssumable,
    UpdateFails,
)
from tests.support.behaviours_of_services import CHECKS, LogDelivery, Refused, RetentionChecked, TagsLag
from tests.support.behaviours_of_stores import (
    BucketNames,
    BucketTaken,
    OverlappingRules,
    PermissionNotVisible,
    TableCreating,
    TableDeleting,
)

_AT_ONCE = "Only 50 tables can be created, updated, or deleted simultaneously"
_RETRY = "Run the command again: it continues here."


@dataclass(frozen=True)
class Case:
    """behaviour: what never passes. says, hints: parts of message and hint. within_s: of simulated time."""

    behaviour: Callable[[], Behaviour]
    code: str
    says: tuple[str, ...]
    hints: str
    within_s: float


def _refused(operation: str, code: str, message: str, status: int = 400) -> Callable[[], Behaviour]:
    return lambda: Refused(operation, Refusal(code, message, status))


_UP = {
    "role": Case(
        lambda: RoleNotAssumable(math.inf),
        "timeout",
        ("function.", "The role defined for the function cannot be assumed by Lambda."),
        "trust policy",
        300,
    ),
    "policy": Case(
        lambda: PolicyNotVisible(math.inf),
        "timeout",
        ("retries", "does not have permissions to call SendMessage on SQS"),
        "policy of role demo-eu-west-1-ingest",
        150,
    ),
    "destination": Case(
        lambda: DestinationChecked(math.inf),
        "timeout",
        ("retries", f"The destination ARN {NAMES.queue_arn} is invalid."),
        _RETRY,
        150,
    ),
    "permission": Case(
        lambda: PermissionNotVisible(math.inf),
        "timeout",
        ("notification", "Unable to validate the following destination", NAMES.function_arn("ingest")),
        "Event notifications",
        90,
    ),
    "table": Case(lambda: TableCreating(math.inf), "timeout", ("table", "creating"), "imgpipe status", 620),
    "pending": Case(
        lambda: FunctionPending(math.inf), "timeout", ("function.", "pending"), "imgpipe status", 620
    ),
    "failed": Case(FunctionFails, "function_failed", (FunctionFails.reason,), "imgpipe down", 30),
    "logging": Case(
        lambda: LogDelivery(math.inf),
        "timeout",
        ("api.stage", "Insufficient permissions to enable logging"),
        "logs:CreateLogDelivery",
        150,
    ),
    "taken": Case(
        lambda: BucketTaken(seen=True),
        "access_denied",
        (f"the permission s3:ListBucket is missing for arn:aws:s3:::{NAMES.bucket}.",),
        "If you have it, the bucket is somebody else's: choose another name with --project.",
        30,
    ),
    "taken, unseen": Case(
        lambda: BucketTaken(seen=False),
        "timeout",
        ("bucket", "The requested bucket name is not available."),
        _RETRY,
        90,
    ),
    "aborted": Case(
        _refused(
            "CreateBucket", "OperationAborted", "A conflicting conditional operation is in progress", 409
        ),
        "timeout",
        ("bucket", "A conflicting conditional operation is in progress"),
        _RETRY,
        330,
    ),
    "tables": Case(
        _refused("CreateTable", "LimitExceededException", "Subscriber limit exceeded: 2,500 tables"),
        "quota_exceeded",
        ("table", "Subscriber limit exceeded: 2,500 tables"),
        "Service Quotas",
        30,
    ),
    "tables at once": Case(
        _refused("CreateTable", "LimitExceededException", f"Subscriber limit exceeded: {_AT_ONCE}"),
        "timeout",
        ("table", _AT_ONCE),
        _RETRY,
        330,
    ),
    "key": Case(
        lambda: KeyNotGranted(math.inf),
        "timeout",
        ("function.", "the KMS key is invalid for CreateGrant."),
        "trust policy",
        150,
    ),
    "tags": Case(
        lambda: TagsLag(math.inf, service="dynamodb"),
        "timeout",
        ("table is not ready", "its tags are not visible yet"),
        "imgpipe status",
        620,
    ),
    "conflict": Case(
        _refused("AddPermission", "ResourceConflictException", "Something that nobody knows.", 409),
        "aws_error",
        ("permission imgpipe-", "Something that nobody knows."),
        "it continues where it stopped",
        60,
    ),
    "two reasons in turn": Case(
        lambda: Refused(
            "CreateApi",
            Refusal("ConflictException", "Please try again later.", 409),
            Refusal("TooManyRequestsException", "Too Many Requests", 429),
        ),
        "timeout",
        ("api is not ready", "API Gateway"),
        _RETRY,
        260,
    ),
    "roles": Case(
        _refused("CreateRole", "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", 409),
        "quota_exceeded",
        ("role", "Cannot exceed quota for RolesPerAccount: 1000."),
        "Service Quotas",
        30,
    ),
    "code": Case(
        _refused("CreateFunction", "CodeStorageExceededException", "Code storage limit exceeded."),
        "quota_exceeded",
        ("function demo-", "Code storage limit exceeded."),
        "Service Quotas",
        30,
    ),
    "changes": Case(
        _refused("CreateApi", "TooManyRequestsException", "Too Many Requests", 429),
        "timeout",
        ("api", "API Gateway takes few changes a second"),
        _RETRY,
        150,
    ),
}


@pytest.mark.parametrize("workers", [exhaustive.only(1), 16])
@pytest.mark.parametrize("case", _UP.values(), ids=list(_UP))
def test_up_ends_in_a_message_that_names_the_cause(case: Case, workers: int) -> None:
    behaviour = case.behaviour()
    with behaving_account(behaviour) as account:
        _ends(account, behaviour, case, lambda: up(BehavingAws(account), workers=workers))


_DOWN = {
    "table": Case(lambda: TableDeleting(math.inf), "timeout", ("table", "deleting"), "imgpipe status", 620),
    "function": Case(
        lambda: FunctionDeleting(math.inf), "timeout", ("function.", "deleting"), "imgpipe status", 620
    ),
    "bucket": Case(
        _refused("DeleteBucket", "BucketNotEmpty", "The bucket you tried to delete is not empty", 409),
        "timeout",
        ("bucket", "something was uploaded meanwhile", "The bucket you tried to delete is not empty."),
        _RETRY,
        150,
    ),
    "role": Case(
        _refused("DeleteRole", "DeleteConflict", "Cannot delete entity, must delete policies first.", 409),
        "timeout",
        ("role.", "Cannot delete entity, must delete policies first."),
        _RETRY,
        150,
    ),
    "instance profile": Case(
        _refused(
            "DeleteRole",
            "DeleteConflict",
            "Cannot delete entity, must remove roles from instance profile first.",
            409,
        ),
        "in_use",
        ("delete role demo-eu-west-1-", "must remove roles from instance profile first."),
        "remove-role-from-instance-profile",
        30,
    ),
}


@pytest.mark.parametrize("case", _DOWN.values(), ids=list(_DOWN))
def test_down_ends_in_a_message_that_names_the_cause(case: Case) -> None:
    behaviour = case.behaviour()
    with behaving_account(behaviour) as account:
        finished()
        _ends(account, behaviour, case, lambda: down(BehavingAws(account)))


def _ends(account: BehavingAccount, behaviour: Behaviour, case: Case, run: Callable[[], object]) -> None:
    began = account.clock.now
    with pytest.raises(Problem) as ended:
        run()
    assert account.met[behaviour.name] > 0
    assert ended.value.code == case.code
    for part in case.says:
        assert part in ended.value.message
    assert case.hints in ended.value.hint
    assert account.clock.now - began <= case.within_s


def test_what_is_refused_for_good_is_told_at_once_beside_what_may_pass() -> None:
    busy = _refused("PutBucketVersioning", "OperationAborted", "Another operation is in progress", 409)()
    denied = _refused("PutBucketCors", "AccessDenied", "Access Denied", 403)()
    with behaving_account(busy, denied) as account:
        with pytest.raises(Problem, match="s3:PutBucketCORS is missing"):
            up(BehavingAws(account), workers=16)
        assert account.clock.now < 30


def test_a_queue_whose_name_is_never_free_again_is_named() -> None:
    with behaving_account(QueueDeletedRecently(math.inf)) as account:
        finished()
        down(BehavingAws(account))
        with pytest.raises(Problem, match="SQS keeps the name of the removed queue for 60 s"):
            up(BehavingAws(account))


def test_time_to_live_switched_off_within_the_hour_says_when_to_go_on() -> None:
    text = "Time to live has been modified multiple times within a fixed interval"
    with behaving_account(_refused("UpdateTimeToLive", "ValidationException", text)()) as account:
        with pytest.raises(Problem) as ended:
            up(BehavingAws(account))
        assert ended.value.code == "timeout"
        assert "run imgpipe up when the hour is over" in ended.value.hint


def test_an_update_that_lambda_cannot_carry_out_is_told_with_its_reason() -> None:
    failing = UpdateFails()
    with behaving_account(failing) as account:
        with pytest.raises(Problem) as failed:
            up(BehavingAws(account))
        assert failed.value.code == "function_failed"
        assert failing.reason in failed.value.message


# --- notifications of somebody else --------------------------------------------------------------


def _add_rule(**rule: Any) -> None:
    """Somebody else's rule beside ours, put there as if S3 did not look."""
    s3 = RecordingAws().client("s3")
    document = s3.get_bucket_notification_configuration(Bucket=NAMES.bucket)
    document.pop("ResponseMetadata")
    document["LambdaFunctionConfigurations"] = [{"Id": "theirs", **rule}]
    s3.put_bucket_notification_configuration(Bucket=NAMES.bucket, NotificationConfiguration=document)


_THEIRS = "arn:aws:lambda:eu-west-1:123456789012:function:theirs"


@pytest.mark.parametrize(
    "filtered", [{}, {"Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".png"}]}}}]
)
def test_somebody_elses_rule_for_the_same_events_stops_up_before_any_change(filtered: Any) -> None:
    with behaving_account(OverlappingRules()) as account:
        finished()
        _add_rule(LambdaFunctionArn=_THEIRS, Events=["s3:ObjectCreated:Put"], **filtered)
        writes = account.writes
        with pytest.raises(Problem) as refused:
            up(BehavingAws(account))
        assert account.writes == writes
        assert account.met["OverlappingRules"] == 0, "it is found before S3 is asked"
        assert refused.value.code == "notification_overlaps"
        for part in (NAMES.bucket, "rule theirs", _THEIRS, "s3:ObjectCreated:Put"):
            assert part in refused.value.message
        assert "Event notifications" in refused.value.hint
        assert down(BehavingAws(account), keep=frozenset({"bucket"})) == []


def test_somebody_elses_rule_whose_function_is_gone_is_named() -> None:
    with behaving_account(PermissionNotVisible(), OverlappingRules()) as account:
        up(BehavingAws(account))
        _add_rule(LambdaFunctionArn=_THEIRS, Events=["s3:ObjectRestore:*"])
        with pytest.raises(Problem) as refused:
            up(BehavingAws(account))
        assert _THEIRS in refused.value.message
        assert "a function that is gone" in refused.value.hint
        assert down(BehavingAws(account)) == []


# --- what AWS checks -----------------------------------------------------------------------------

_ROLE = NAMES.role_arn("ingest")


@pytest.mark.parametrize(
    ("kind", "service", "operation", "params", "code"),
    [
        (BucketNames, "s3", "create_bucket", {"Bucket": "Bad_Name"}, "InvalidBucketName"),
        (BucketNames, "s3", "create_bucket", {"Bucket": "good"}, "IllegalLocationConstraintException"),
        (
            RetentionChecked,
            "logs",
            "put_retention_policy",
            {"logGroupName": "group", "retentionInDays": 2},
            "InvalidParameterException",
        ),
        (
            EnvironmentChecked,
            "lambda",
            "create_function",
            {
                "FunctionName": "f",
                "Role": _ROLE,
                "Code": {},
                "Environment": {"Variables": {"AWS_REGION": ""}},
            },
            "InvalidParameterValueException",
        ),
        (
            EnvironmentChecked,
            "lambda",
            "create_function",
            {
                "FunctionName": "f",
                "Role": _ROLE,
                "Code": {},
                "Environment": {"Variables": {"A": "a" * 4096}},
            },
            "InvalidParameterValueException",
        ),
    ],
)
def test_what_aws_checks_is_refused(
    kind: type[Behaviour], service: str, operation: str, params: dict[str, Any], code: str
) -> None:
    with behaving_account(kind()) as account:
        with pytest.raises(ClientError) as refused:
            getattr(BehavingAws(account).client(service), operation)(**params)
        assert refused.value.response["Error"]["Code"] == code
        assert account.met[kind.__name__] == 1


def test_a_statement_id_that_is_there_and_rules_that_overlap_are_refused() -> None:
    with behaving_account(*[kind() for kind in CHECKS]) as account:
        up(BehavingAws(account), SETTINGS)
        functions, s3 = BehavingAws(account).client("lambda"), BehavingAws(account).client("s3")
        policy = json.loads(functions.get_policy(FunctionName=NAMES.function("ingest"))["Policy"])
        statement = {
            "FunctionName": NAMES.function("ingest"),
            "StatementId": policy["Statement"][0]["Sid"],
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
        }
        with pytest.raises(ClientError, match="already exists"):
            functions.add_permission(**statement)
        rule = {"LambdaFunctionArn": _THEIRS, "Events": ["s3:ObjectCreated:*"]}
        with pytest.raises(ClientError, match="overlapping suffixes"):
            s3.put_bucket_notification_configuration(
                Bucket=NAMES.bucket,
                NotificationConfiguration={"LambdaFunctionConfigurations": [rule, rule]},
            )
        assert account.met["DuplicateStatement"] == account.met["OverlappingRules"] == 1
        assert DuplicateStatement in CHECKS
