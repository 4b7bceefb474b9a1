"""Somebody's hand in a pipeline: every kind of change that `up` puts right."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from imgpipe_cli.aws.names import Names
from tests.support.machine import Machine


def of_new_bucket(machine: Machine, bucket: str) -> None:
    """What is repaired in a bucket; its tags only while it is empty."""
    s3 = machine.client("s3")
    for undo in (
        s3.delete_bucket_tagging,
        s3.delete_bucket_encryption,
        s3.delete_public_access_block,
        s3.delete_bucket_ownership_controls,
        s3.delete_bucket_policy,
        s3.delete_bucket_lifecycle,
        s3.delete_bucket_cors,
    ):
        undo(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})


def of_table(machine: Machine, names: Names) -> None:
    dynamodb = machine.client("dynamodb")
    dynamodb.update_table(
        TableName=names.table,
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    dynamodb.update_time_to_live(
        TableName=names.table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expiresAt"}
    )


def of_function(machine: Machine, names: Names, function: str) -> None:
    """Its code, its role and its permission to be invoked."""
    functions, name = machine.client("lambda"), names.function(function)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("other.py", "")
    functions.update_function_code(FunctionName=name, ZipFile=content.getvalue())
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    statement = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"][0]
    functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    functions.add_permission(
        FunctionName=name,
        StatementId=statement["Sid"],
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    _role_made_anew(machine, names.role(function), names)


def _role_made_anew(machine: Machine, role: str, names: Names) -> None:
    """With another id, another trust policy, and the same rights."""
    iam, where = machine.client("iam"), {"RoleName": role, "PolicyName": "imgpipe"}
    policy = json.dumps(iam.get_role_policy(**where)["PolicyDocument"])
    iam.delete_role_policy(**where)
    iam.delete_role(RoleName=role)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=document, Tags=names.tag_list)
    iam.put_role_policy(**where, PolicyDocument=policy)


def of_the_rest(machine: Machine, names: Names) -> None:
    """Retries, log groups and the queue; a throttled function."""
    machine.client("lambda").delete_function_event_invoke_config(FunctionName=names.function("ingest"))
    machine.client("lambda").put_function_concurrency(
        FunctionName=names.function("get_result"), ReservedConcurrentExecutions=0
    )
    logs = machine.client("logs")
    logs.put_retention_policy(logGroupName=names.log_group("web"), retentionInDays=1)
    sqs = machine.client("sqs")
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})


def of_api(machine: Machine, names: Names) -> None:
    """Another API of ours, other settings, a second integration, other routes."""
    gateway = machine.client("apigatewayv2")
    (ours,) = [one for one in gateway.get_apis()["Items"] if one["Name"] == names.api]
    where: dict[str, Any] = {"ApiId": ours["ApiId"]}
    gateway.create_api(Name=names.api, ProtocolType="HTTP", Tags=names.tags)
    gateway.update_api(**where, CorsConfiguration={"AllowOrigins": ["https://other.example"]})
    gateway.update_stage(
        **where, StageName="prod", DefaultRouteSettings={"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}
    )
    first, *_ = integrations = gateway.get_integrations(**where)["Items"]
    gateway.update_integration(**where, IntegrationId=first["IntegrationId"], TimeoutInMillis=1000)
    # The same once more: whichever of the two no route uses goes.
    gateway.create_integration(
        **where,
        IntegrationType="AWS_PROXY",
        IntegrationUri=first["IntegrationUri"],
        PayloadFormatVersion="2.0",
    )
    targets = [f"integrations/{one['IntegrationId']}" for one in integrations]
    for route in gateway.get_routes(**where)["Items"]:
        if route["RouteKey"] == "GET /image":
            other = next(target for target in targets if target != route["Target"])
            gateway.update_route(**where, RouteId=route["RouteId"], Target=other)
    gateway.create_route(**where, RouteKey="GET /old", Target=targets[0])
