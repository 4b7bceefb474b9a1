"""Other tags for everything that has one of our names, as if somebody else had made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.account import NAMES, RecordingAws

_OURS = list(NAMES.tags)


def retag(tags: Mapping[str, str]) -> None:
    aws = RecordingAws()
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    for change in (_parameters, _buckets, _table, _roles, _functions, _logs, _queue, _apis):
        change(aws, dict(tags), pairs)


def _parameters(aws: RecordingAws, _tags: dict[str, str], pairs: list[dict[str, str]]) -> None:
    for name in (NAMES.settings_parameter, NAMES.token_parameter):
        where: dict[str, Any] = {"ResourceType": "Parameter", "ResourceId": name}
        aws.call("ssm", "remove_tags_from_resource", **where, TagKeys=_OURS)
        aws.call("ssm", "add_tags_to_resource", **where, Tags=pairs)


def _buckets(aws: RecordingAws, _tags: dict[str, str], pairs: list[dict[str, str]]) -> None:
    for bucket in aws.call("s3", "list_buckets")["Buckets"]:
        if pairs:
            aws.call("s3", "put_bucket_tagging", Bucket=bucket["Name"], Tagging={"TagSet": pairs})
        else:
            aws.call("s3", "delete_bucket_tagging", Bucket=bucket["Name"])


def _table(aws: RecordingAws, _tags: dict[str, str], pairs: list[dict[str, str]]) -> None:
    for _ in aws.call("dynamodb", "list_tables")["TableNames"]:
        aws.call("dynamodb", "untag_resource", ResourceArn=NAMES.table_arn, TagKeys=_OURS)
        aws.call("dynamodb", "tag_resource", ResourceArn=NAMES.table_arn, Tags=pairs)


def _roles(aws: RecordingAws, _tags: dict[str, str], pairs: list[dict[str, str]]) -> None:
    for role in aws.call("iam", "list_roles")["Roles"]:
        aws.call("iam", "untag_role", RoleName=role["RoleName"], TagKeys=_OURS)
        aws.call("iam", "tag_role", RoleName=role["RoleName"], Tags=pairs)


def _functions(aws: RecordingAws, tags: dict[str, str], _pairs: list[dict[str, str]]) -> None:
    for function in aws.call("lambda", "list_functions")["Functions"]:
        aws.call("lambda", "untag_resource", Resource=function["FunctionArn"], TagKeys=_OURS)
        aws.call("lambda", "tag_resource", Resource=function["FunctionArn"], Tags=tags)


def _logs(aws: RecordingAws, tags: dict[str, str], _pairs: list[dict[str, str]]) -> None:
    for group in aws.call("logs", "describe_log_groups")["logGroups"]:
        arn = NAMES.log_group_arn(group["logGroupName"])
        aws.call("logs", "untag_resource", resourceArn=arn, tagKeys=_OURS)
        aws.call("logs", "tag_resource", resourceArn=arn, tags=tags)


def _queue(aws: RecordingAws, tags: dict[str, str], _pairs: list[dict[str, str]]) -> None:
    url = aws.call("sqs", "get_queue_url", QueueName=NAMES.queue)["QueueUrl"]
    aws.call("sqs", "untag_queue", QueueUrl=url, TagKeys=_OURS)
    if tags:
        aws.call("sqs", "tag_queue", QueueUrl=url, Tags=tags)


def _apis(aws: RecordingAws, tags: dict[str, str], _pairs: list[dict[str, str]]) -> None:
    for api in aws.call("apigatewayv2", "get_apis")["Items"]:
        # It has no account.
        arn = f"arn:aws:apigateway:{NAMES.region}::/apis/{api['ApiId']}"
        aws.call("apigatewayv2", "untag_resource", ResourceArn=arn, TagKeys=_OURS)
        aws.call("apigatewayv2", "tag_resource", ResourceArn=arn, Tags=tags)
