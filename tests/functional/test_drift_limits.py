"""What is not mended: what others may add stays, and what AWS cannot change is refused with the way out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy import deployed, observe, plan
from imgpipe_cli.deploy.resource import Change, Context, Observed
from imgpipe_cli.deploy.steps.ingest_function import STEP
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, SETTINGS, RecordingAws, finished, inventory, nothing, pipeline, up
from tests.support.drift_actions import (
    BUCKET,
    INDEX,
    INGEST,
    KEYS,
    ROLE,
    WEB,
    Do,
    call,
    delete_index,
    each,
    gateway,
    queue,
    s3,
    single_statement,
)

pytestmark = pytest.mark.usefixtures("account")

STRINGS = {"objectKey": "S", "day": "S", "analyzedAt": "S"}
ANOTHER = Settings(features=("labels", "faces"), first_day="2026-01-01")


def not_ready() -> list[plan.ResourceState]:
    line = pipeline(RecordingAws())
    return [s for s in plan.states(line, observe.snapshot(line, nothing), SETTINGS) if s.state != "ready"]


# --- what stays ----------------------------------------------------------------------------------


def lifecycle(aws: Aws) -> Any:
    return aws.client("s3").get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]


def add_rule(aws: Aws) -> None:
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    s3("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [*lifecycle(aws), rule]})(aws)


def bucket_policy(aws: Aws) -> Any:
    return json.loads(aws.client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])


def add_statement(aws: Aws) -> None:
    reader = {"AWS": "arn:aws:iam::123456789012:root"}
    theirs = {"Sid": "T", "Effect": "Allow", "Principal": reader, "Action": "s3:GetObject"}
    policy = bucket_policy(aws)
    policy["Statement"].append({**theirs, "Resource": f"{NAMES.bucket_arn}/*"})
    s3("put_bucket_policy", Policy=json.dumps(policy))(aws)


def bucket_tags(aws: Aws) -> Any:
    return aws.client("s3").get_bucket_tagging(Bucket=BUCKET)["TagSet"]


def add_bucket_tag(aws: Aws) -> None:
    s3("put_bucket_tagging", Tagging={"TagSet": [*bucket_tags(aws), {"Key": "Cost", "Value": "42"}]})(aws)


def add_route(aws: Aws) -> None:
    made = gateway(
        "create_integration",
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="GET",
        IntegrationUri="https://example.org",
        PayloadFormatVersion="1.0",
    )(aws)
    gateway("create_route", RouteKey="GET /theirs", Target=f"integrations/{made['IntegrationId']}")(aws)


def add_index(aws: Aws) -> None:
    keys = [{"AttributeName": "sizeBytes", "KeyType": "HASH"}]
    index = {"IndexName": "theirs", "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    types = {**STRINGS, "sizeBytes": "N"}
    aws.client("dynamodb").update_table(
        TableName=NAMES.table,
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": v} for k, v in types.items()],
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )


KMS = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
COST = [{"Key": "Cost", "Value": "42"}]
MANAGED = f"arn:aws:iam::{NAMES.account}:policy/theirs"
SEND = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"}],
    }
)
# What they add, and how it is read.
THEIRS: dict[str, tuple[Do, Do]] = {
    "tag of the table": (
        call("dynamodb", "tag_resource", ResourceArn=NAMES.table_arn, Tags=COST),
        lambda aws: aws.client("dynamodb").list_tags_of_resource(ResourceArn=NAMES.table_arn)["Tags"],
    ),
    "backups of the table": (
        call(
            "dynamodb",
            "update_continuous_backups",
            TableName=NAMES.table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        ),
        lambda aws: aws.client("dynamodb").describe_continuous_backups(TableName=NAMES.table)[
            "ContinuousBackupsDescription"
        ]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    ),
    "tag of the bucket": (add_bucket_tag, bucket_tags),
    "rule of the lifecycle": (add_rule, lifecycle),
    "statement of the bucket policy": (add_statement, bucket_policy),
    "index of the table by a number": (
        add_index,
        lambda aws: sorted(
            index["IndexName"]
            for index in aws.client("dynamodb").describe_table(TableName=NAMES.table)["Table"][
                "GlobalSecondaryIndexes"
            ]
        ),
    ),
    "own key for encryption": (
        s3("put_bucket_encryption", ServerSideEncryptionConfiguration=KMS),
        lambda aws: aws.client("s3").get_bucket_encryption(Bucket=BUCKET)[
            "ServerSideEncryptionConfiguration"
        ],
    ),
    "policy attached to a role": (
        each(
            call("iam", "create_policy", PolicyName="theirs", PolicyDocument=SEND),
            call("iam", "attach_role_policy", RoleName=ROLE, PolicyArn=MANAGED),
        ),
        lambda aws: aws.client("iam").list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"],
    ),
    "inline policy of a role": (
        call("iam", "put_role_policy", RoleName=ROLE, PolicyName="theirs", PolicyDocument=SEND),
        lambda aws: aws.client("iam").list_role_policies(RoleName=ROLE)["PolicyNames"],
    ),
    "reserved concurrency of a function that has no cap": (
        call("lambda", "put_function_concurrency", FunctionName=WEB, ReservedConcurrentExecutions=5),
        lambda aws: aws.client("lambda").get_function(FunctionName=WEB).get("Concurrency"),
    ),
    "permission of a function": (
        call(
            "lambda",
            "add_permission",
            FunctionName=INGEST,
            StatementId="theirs",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        ),
        lambda aws: aws.client("lambda").get_policy(FunctionName=INGEST)["Policy"],
    ),
    "visibility of the queue's messages": (
        queue("set_queue_attributes", Attributes={"VisibilityTimeout": "77"}),
        lambda aws: queue("get_queue_attributes", AttributeNames=["VisibilityTimeout"])(aws)["Attributes"],
    ),
    "the bucket's policy in no list": (
        single_statement(),
        lambda aws: aws.client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"],
    ),
    "route to something of their own": (
        add_route,
        lambda aws: sorted(r["RouteKey"] for r in gateway("get_routes")(aws)["Items"]),
    ),
}


@pytest.mark.parametrize(("do", "read"), THEIRS.values(), ids=THEIRS.keys())
def test_what_others_may_add_is_no_drift_and_stays(do: Do, read: Do) -> None:
    finished()
    before = read(RecordingAws())
    do(RecordingAws())
    with_theirs = read(RecordingAws())
    assert with_theirs != before
    assert not_ready() == []
    idle = RecordingAws()
    up(idle)
    assert idle.writes == []
    up(RecordingAws(), ANOTHER)
    assert read(RecordingAws()) == with_theirs


# --- what is refused -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """name: what the message names. way_out: words of the hint. out: what the hint says, done."""

    do: Do
    code: str
    resource: str
    name: str
    way_out: str
    out: Do


def table_with(keys: list[dict[str, str]], index: dict[str, Any], kinds: dict[str, str]) -> Do:
    """Another table of ours in place of the one that was made."""
    return each(
        call("dynamodb", "delete_table", TableName=NAMES.table),
        call(
            "dynamodb",
            "create_table",
            TableName=NAMES.table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=keys,
            GlobalSecondaryIndexes=[index],
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": v} for k, v in kinds.items()],
            Tags=NAMES.tag_list,
        ),
        call(
            "dynamodb",
            "update_time_to_live",
            TableName=NAMES.table,
            TimeToLiveSpecification={"AttributeName": "expiresAt", "Enabled": True},
        ),
    )


def parameter_of(kind: str, parameter: str) -> Do:
    def do(aws: Aws) -> None:
        client = aws.client("ssm")
        value = client.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"]
        client.delete_parameter(Name=parameter)
        client.put_parameter(Name=parameter, Type=kind, Value=value, Tags=NAMES.tag_list)

    return do


def other_ttl(aws: Aws) -> None:
    for name, enabled in (("expiresAt", False), ("mine", True)):
        specification = {"AttributeName": name, "Enabled": enabled}
        aws.client("dynamodb").update_time_to_live(
            TableName=NAMES.table, TimeToLiveSpecification=specification
        )


def without_ttl(aws: Aws) -> None:
    specification = {"AttributeName": "mine", "Enabled": False}
    aws.client("dynamodb").update_time_to_live(TableName=NAMES.table, TimeToLiveSpecification=specification)


OTHER_KEYS = [{"AttributeName": "id", "KeyType": "HASH"}]
OTHER_INDEX = {**INDEX, "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}]}
DELETE_TABLE = f"aws dynamodb delete-table --table-name {NAMES.table}"
DELETE_INDEX = f"""update-table --table-name {NAMES.table} --global-secondary-index-updates '[{{"Delete":"""
delete_table = call("dynamodb", "delete_table", TableName=NAMES.table)


REFUSED = {
    "table with another key": Refused(
        table_with(OTHER_KEYS, INDEX, {"id": "S", "day": "S", "analyzedAt": "S"}),
        *("table_differs", "table", NAMES.table, DELETE_TABLE, delete_table),
    ),
    "table with a number as its key": Refused(
        table_with(KEYS, INDEX, {**STRINGS, "objectKey": "N"}),
        *("table_differs", "table", NAMES.table, DELETE_TABLE, delete_table),
    ),
    "table with another index": Refused(
        table_with(KEYS, OTHER_INDEX, {"objectKey": "S", "day": "S"}),
        *("table_differs", "table", "by-time", DELETE_INDEX, delete_index("by-time")),
    ),
    "index of another type": Refused(
        table_with(KEYS, INDEX, {**STRINGS, "analyzedAt": "N"}),
        *("table_differs", "table", "by-time", DELETE_INDEX, delete_index("by-time")),
    ),
    "index of others in the way of ours": Refused(
        table_with(KEYS, {**OTHER_INDEX, "IndexName": "theirs"}, {"objectKey": "S", "day": "N"}),
        *("table_differs", "table", NAMES.table, "Remove that index", delete_index("theirs")),
    ),
    "time to live in another attribute": Refused(
        other_ttl, "ttl_differs", "table.ttl", NAMES.table, "Switch it off", without_ttl
    ),
    "token in clear text": Refused(
        parameter_of("String", NAMES.token_parameter),
        *(
            "parameter_differs",
            "token",
            NAMES.token_parameter,
            "aws ssm delete-parameter --name /imgpipe/demo/token",
        ),
        call("ssm", "delete_parameter", Name=NAMES.token_parameter),
    ),
    "settings as a secret": Refused(
        parameter_of("SecureString", NAMES.settings_parameter),
        *("parameter_differs", "settings", NAMES.settings_parameter, "aws ssm delete-parameter --name"),
        call("ssm", "delete_parameter", Name=NAMES.settings_parameter),
    ),
}


@pytest.mark.parametrize("drift", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_mended_is_refused_before_any_change_with_the_way_out(drift: Refused) -> None:
    finished()
    drift.do(RecordingAws())
    before = inventory()
    (shown,) = not_ready()
    # Something else could be changed: it is not.
    aws = RecordingAws()
    with pytest.raises(Problem) as refused:
        up(aws, ANOTHER)
    assert (aws.writes, inventory() == before) == ([], True)
    told = refused.value
    assert (told.code, shown.resource, shown.state) == (drift.code, drift.resource, "drifted")
    assert shown.drift[-1] == told.message
    assert drift.name in told.message
    assert drift.way_out in told.hint
    drift.out(RecordingAws())
    up(RecordingAws())
    assert not_ready() == []


def changes_of_a_function(
    reserved: int | None = SETTINGS.cap, settings: Settings = SETTINGS, **configuration: Any
) -> list[Change]:
    """What `up` would do about the ingest function if Lambda said this of it, which moto does not."""
    up(RecordingAws())
    (function,) = (one for one in STEP.resources if one.name == "function.ingest")
    seen = function.observe(RecordingAws(), NAMES)
    facts = {**seen.facts, "configuration": {**seen.facts["configuration"], **configuration}}
    facts |= {"architectures": facts["configuration"]["Architectures"], "reserved": reserved}
    return list(function.diff(Context(replace(seen, facts=facts), NAMES, settings)))


def test_a_function_for_another_processor_gets_its_code_anew() -> None:
    """moto keeps the processor; Lambda takes it with the code."""
    assert changes_of_a_function(Architectures=["arm64"]) == []
    (changed,) = changes_of_a_function(Architectures=["x86_64"])
    assert f"{changed.verb} {changed.what}" == f"update code of function {INGEST}"
    assert changed.call.params["Architectures"] == ["arm64"]


def test_a_throttled_function_may_run_again_and_a_chosen_limit_stays() -> None:
    """moto does not tell a limit of 0, which is what the console's "Throttle" sets."""
    uncapped = replace(SETTINGS, capped=False)
    assert changes_of_a_function(5, uncapped) == changes_of_a_function(None, uncapped) == []
    (changed,) = changes_of_a_function(0, uncapped)
    assert f"{changed.verb} {changed.what}" == f"remove reserved concurrency 0 of function {INGEST}"
    assert changed.call.label == "lambda.delete_function_concurrency"
    assert changed.call.params == {"FunctionName": INGEST}


@pytest.mark.parametrize(
    ("reserved", "instead"), [(None, ""), (0, " instead of 0"), (5, " instead of 5"), (21, " instead of 21")]
)
def test_another_cap_than_the_settings_is_named_and_mended(reserved: int | None, instead: str) -> None:
    (changed,) = changes_of_a_function(reserved)
    assert f"{changed.verb} {changed.what}" == f"set reserved concurrency 20{instead} of function {INGEST}"
    assert changed.call.label == "lambda.put_function_concurrency"
    assert changed.call.params == {"FunctionName": INGEST, "ReservedConcurrentExecutions": 20}


KEY = f"arn:aws:kms:eu-west-1:{NAMES.account}:key/theirs"
DISK = {
    "Arn": f"arn:aws:elasticfilesystem:eu-west-1:{NAMES.account}:access-point/a",
    "LocalMountPath": "/mnt/a",
}


@pytest.mark.parametrize(
    ("found", "what", "sent"),
    [
        ({"KMSKeyArn": KEY}, "kmskeyarn", {"KMSKeyArn": ""}),
        (
            {"DeadLetterConfig": {"TargetArn": NAMES.queue_arn}},
            "deadletterconfig",
            {"DeadLetterConfig": {"TargetArn": ""}},
        ),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-1"]}, "FileSystemConfigs": [DISK]},
            "vpcconfig, filesystemconfigs",
            {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}, "FileSystemConfigs": []},
        ),
    ],
)
def test_what_a_function_runs_without_is_taken_away(
    found: dict[str, Any], what: str, sent: dict[str, Any]
) -> None:
    """moto keeps none of it, and says nothing of what is empty; AWS may."""
    network = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
    empty: dict[str, Any] = {
        "VpcConfig": network,
        "Layers": [],
        "KMSKeyArn": "",
        "DeadLetterConfig": {"TargetArn": ""},
    }
    assert changes_of_a_function(**empty) == []
    assert changes_of_a_function(TracingConfig={"Mode": "Active"}, EphemeralStorage={"Size": 1024}) == []
    (changed,) = changes_of_a_function(**{**empty, **found})
    assert f"{changed.verb} {changed.what}" == f"update {what} of function {INGEST}"
    assert sent.items() <= changed.call.params.items()
    assert not (empty.keys() - sent.keys()) & changed.call.params.keys()


def test_a_function_that_is_an_image_is_refused_with_the_way_out() -> None:
    with pytest.raises(Problem, match=f"{INGEST} is a container image") as refused:
        changes_of_a_function(PackageType="Image")
    assert f"aws lambda delete-function --function-name {INGEST}" in refused.value.hint


def test_settings_that_are_none_of_ours_are_refused_with_the_way_out() -> None:
    for text in ("{", "[]", '{"version": 99}', "null", ""):
        with pytest.raises(Problem) as refused:
            deployed.settings({"settings": Observed(exists=True, facts={"value": text})}, NAMES)
        assert refused.value.code == "bad_settings"
        assert f"delete-parameter --name {NAMES.settings_parameter};" in refused.value.hint
