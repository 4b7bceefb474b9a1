"""Everything of one project that a cloud holds, as plain data without ids and times."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

Client = Callable[[str], Any]

_BUCKET_PARTS = (
    "get_bucket_versioning",
    "get_bucket_encryption",
    "get_public_access_block",
    "get_bucket_ownership_controls",
    "get_bucket_policy",
    "get_bucket_lifecycle_configuration",
    "get_bucket_cors",
    "get_bucket_tagging",
    "get_bucket_notification_configuration",
)


def inventory(client: Client, project: str) -> dict[str, Any]:
    """Resource -> its configuration; the project's name reads PROJECT, so that projects can be compared."""
    found = {
        name: content
        for look in (_buckets, _tables, _roles, _functions, _queues, _parameters, _logs, _apis)
        for name, content in look(client)
        if re.search(rf"[ /]{project}[-/]", f"{name}/")
    }
    text = json.dumps(found, sort_keys=True, default=str)
    text = re.sub(r'"(?:RequestId|HostId|x-amzn-requestid)": "[^"]*"', '""', text)
    return dict(json.loads(re.sub(rf"\b{project}(?=[-/\"])", "PROJECT", text)))


def _read(client: Any, operation: str, **params: Any) -> Any:
    try:
        answer = getattr(client, operation)(**params)
    except ClientError as error:
        return error.response["Error"]["Code"]
    answer.pop("ResponseMetadata", None)
    return answer


def _buckets(client: Client) -> Iterator[tuple[str, Any]]:
    s3 = client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        yield f"bucket {name}", {part: _read(s3, part, Bucket=name) for part in _BUCKET_PARTS}


def _tables(client: Client) -> Iterator[tuple[str, Any]]:
    dynamodb = client("dynamodb")
    for name in dynamodb.list_tables()["TableNames"]:
        table = dynamodb.describe_table(TableName=name)["Table"]
        indexes = [(i["IndexName"], i["KeySchema"]) for i in table.get("GlobalSecondaryIndexes", [])]
        yield (
            f"table {name}",
            {
                "key": table["KeySchema"],
                "indexes": indexes,
                "ttl": dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
                "tags": _read(dynamodb, "list_tags_of_resource", ResourceArn=table["TableArn"]),
            },
        )


def _roles(client: Client) -> Iterator[tuple[str, Any]]:
    iam = client("iam")
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        yield (
            f"role {name}",
            {
                "trust": role["AssumeRolePolicyDocument"],
                "policies": [
                    iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                    for policy in policies
                ],
                "tags": sorted(tag["Key"] for tag in iam.list_role_tags(RoleName=name)["Tags"]),
            },
        )


def _functions(client: Client) -> Iterator[tuple[str, Any]]:
    functions = client("lambda")
    for function in functions.list_functions()["Functions"]:
        name = function["FunctionName"]
        variables = dict(function["Environment"]["Variables"])
        if variables.get("TOKEN_SHA256"):
            variables["TOKEN_SHA256"] = "hash of a random token"
        policy = _read(functions, "get_policy", FunctionName=name)
        statements = json.loads(policy["Policy"])["Statement"] if isinstance(policy, dict) else []
        retries = _read(functions, "get_function_event_invoke_config", FunctionName=name)
        kept = ("Runtime", "Role", "Handler", "Timeout", "MemorySize", "CodeSha256", "Architectures")
        yield (
            f"function {name}",
            {
                **{key: function.get(key) for key in kept},
                "variables": variables,
                "policy": sorted(re.sub(r":[0-9a-z]{8,10}/", ":API/", json.dumps(s)) for s in statements),
                "retries": retries.get("DestinationConfig") if isinstance(retries, dict) else retries,
            },
        )


def _queues(client: Client) -> Iterator[tuple[str, Any]]:
    sqs = client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        wanted = ["MessageRetentionPeriod", "Policy", "SqsManagedSseEnabled"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted).get("Attributes")
        yield f"queue {url.rpartition('/')[2]}", attributes


def _parameters(client: Client) -> Iterator[tuple[str, Any]]:
    ssm = client("ssm")
    for found in ssm.get_parameters_by_path(Path="/imgpipe", Recursive=True)["Parameters"]:
        secret = found["Type"] == "SecureString"
        yield f"parameter {found['Name']}", "a secret" if secret else found["Value"]


def _logs(client: Client) -> Iterator[tuple[str, Any]]:
    for group in client("logs").describe_log_groups()["logGroups"]:
        yield f"logs {group['logGroupName']}", group.get("retentionInDays")


def _apis(client: Client) -> Iterator[tuple[str, Any]]:
    gateway = client("apigatewayv2")
    for api in gateway.get_apis()["Items"]:
        where = {"ApiId": api["ApiId"]}
        functions = {
            f"integrations/{one['IntegrationId']}": one["IntegrationUri"]
            for one in gateway.get_integrations(**where)["Items"]
        }
        routes = gateway.get_routes(**where)["Items"]
        stages = gateway.get_stages(**where)["Items"]
        kept = ("StageName", "AutoDeploy", "DefaultRouteSettings", "AccessLogSettings")
        yield (
            f"api {api['Name']}",
            {
                "cors": api.get("CorsConfiguration"),
                "tags": api.get("Tags"),
                "functions": sorted(functions.values()),
                "routes": sorted((route["RouteKey"], functions.get(route["Target"])) for route in routes),
                "stages": [{key: stage.get(key) for key in kept} for stage in stages],
            },
        )
