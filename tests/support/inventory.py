"""Everything that a cloud holds of the services of a pipeline, as plain data without ids and times."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore import xform_name
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
_FUNCTION_PARTS = (
    *("Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "CodeSha256"),
    *("Architectures", "PackageType", "LoggingConfig", "Layers"),
)
_RETRY_PARTS = ("DestinationConfig", "MaximumRetryAttempts", "MaximumEventAgeInSeconds")
_QUEUE_PARTS = [
    *("MessageRetentionPeriod", "Policy", "SqsManagedSseEnabled", "VisibilityTimeout"),
    *("MaximumMessageSize", "DelaySeconds", "RedrivePolicy"),
]
_API_PARTS = ("Description", "ProtocolType", "CorsConfiguration", "DisableExecuteApiEndpoint", "Tags")
_INTEGRATION_PARTS = ("IntegrationType", "IntegrationUri", "PayloadFormatVersion", "TimeoutInMillis")
# What alters the requests and answers that go through an integration.
_ALTERING = ("RequestParameters", "ResponseParameters", "CredentialsArn", "ConnectionType")
_ROUTE_PARTS = ("AuthorizationType", "ApiKeyRequired")
_STAGE_PARTS = ("StageName", "AutoDeploy", "DefaultRouteSettings", "AccessLogSettings", "Tags")


def inventory(client: Client, project: str = "", services: Iterable[str] = ()) -> dict[str, Any]:
    """Resource -> its configuration: of all, or of one project, whose name then reads PROJECT, so that
    projects can be compared. services: those of the pipeline, unless others are named."""
    found = {
        name: content
        for service in services or _LOOKS
        for name, content in _look(client, service)
        if re.search(rf"[ :/]{project}[-/]", f"{name}/") or not project
    }
    text = json.dumps(found, sort_keys=True, default=str)
    text = re.sub(r'"(?:RequestId|HostId|x-amzn-requestid)": "[^"]*"', '""', text)
    if project:
        text = re.sub(rf"\b{project}(?=[-/\"])", "PROJECT", text)
    return dict(json.loads(text))


def _look(client: Client, service: str) -> Iterator[tuple[str, Any]]:
    return _LOOKS[service](client) if service in _LOOKS else _any_service(client(service))


def _any_service(client: Any) -> Iterator[tuple[str, Any]]:
    """Whatever a service lists that has an ARN, with all that can be read by the ARN alone."""
    model = client.meta.service_model
    reads = [name for name in model.operation_names if name.startswith(("Get", "List", "Describe"))]
    needed = {
        name: (shape.required_members if (shape := model.operation_model(name).input_shape) else [])
        for name in reads
    }
    for name in (name for name in reads if name.startswith("List") and not needed[name]):
        for item in _things(_read(client, xform_name(name))):
            (key, arn), *_ = [(key, value) for key, value in item.items() if key.endswith("Arn")]
            parts = {
                other: _read(client, xform_name(other), **{wanted[0]: arn})
                for other, wanted in needed.items()
                if wanted in ([key], ["ResourceArn"])
            }
            yield f"{client.meta.service_model.service_name} {arn}", {**item, **parts}


def _things(answer: Any) -> Iterator[dict[str, Any]]:
    """The entries of a list's answer that have an ARN."""
    for value in answer.values() if isinstance(answer, dict) else ():
        if isinstance(value, list):
            yield from (one for one in value if isinstance(one, dict) and any(k.endswith("Arn") for k in one))


def _read(client: Any, operation: str, **params: Any) -> Any:
    """The answer, or the code of the refusal."""
    try:
        answer = getattr(client, operation)(**params)
    except ClientError as error:
        return error.response["Error"]["Code"]
    except NotImplementedError:  # of moto's
        return "not offered"
    answer.pop("ResponseMetadata", None)
    return answer


def _some(found: Any, keys: tuple[str, ...]) -> Any:
    return {key: found.get(key) for key in keys} if isinstance(found, Mapping) else found


def _given(value: Any) -> str:
    """Mappings without what is empty; the default like nothing."""
    given = {key: one for key, one in value.items() if one} if isinstance(value, Mapping) else value
    return "" if not given or given == "INTERNET" else str(given)


def _tags(found: Any, key: str) -> Any:
    """AWS's list of Key and Value, or a mapping, under a key of an answer."""
    pairs = found.get(key, []) if isinstance(found, Mapping) else found
    return {pair["Key"]: pair["Value"] for pair in pairs} if isinstance(pairs, list) else pairs


def _buckets(client: Client) -> Iterator[tuple[str, Any]]:
    s3 = client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        parts = {part: _read(s3, part, Bucket=name) for part in _BUCKET_PARTS}
        yield f"bucket {name}", parts | {"get_bucket_tagging": _tags(parts["get_bucket_tagging"], "TagSet")}


def _tables(client: Client) -> Iterator[tuple[str, Any]]:
    dynamodb = client("dynamodb")
    for name in dynamodb.list_tables()["TableNames"]:
        table = dynamodb.describe_table(TableName=name)["Table"]
        yield (
            f"table {name}",
            {
                "key": table["KeySchema"],
                "types": sorted(
                    (one["AttributeName"], one["AttributeType"]) for one in table["AttributeDefinitions"]
                ),
                "billing": table.get("BillingModeSummary", {}).get("BillingMode"),
                "indexes": {
                    index["IndexName"]: _some(index, ("KeySchema", "Projection"))
                    for index in table.get("GlobalSecondaryIndexes", [])
                },
                "ttl": dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
                "tags": _tags(
                    _read(dynamodb, "list_tags_of_resource", ResourceArn=table["TableArn"]), "Tags"
                ),
            },
        )


def _roles(client: Client) -> Iterator[tuple[str, Any]]:
    iam = client("iam")
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        attached = _read(iam, "list_attached_role_policies", RoleName=name)
        yield (
            f"role {name}",
            {
                "description": role.get("Description"),
                "trust": role["AssumeRolePolicyDocument"],
                "policies": {
                    policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
                },
                "attached": _some(attached, ("AttachedPolicies",)),
                "tags": _tags(_read(iam, "list_role_tags", RoleName=name), "Tags"),
            },
        )


def _functions(client: Client) -> Iterator[tuple[str, Any]]:
    functions = client("lambda")
    # The id of a role is random.
    role_ids = {role["Arn"]: role.get("RoleId") for role in client("iam").list_roles()["Roles"]}
    hashes = {hashlib.sha256(token.encode()).hexdigest() for token in _secrets(client)}
    for function in functions.list_functions()["Functions"]:
        name = function["FunctionName"]
        variables = dict(function.get("Environment", {}).get("Variables", {}))
        if variables.get("TOKEN_SHA256") in hashes:
            variables["TOKEN_SHA256"] = "hash of the token"
        details = _read(functions, "get_function", FunctionName=name)
        tags = _tags(details, "Tags")
        if tags.get("RoleId") == role_ids.get(function["Role"]):
            tags = {**tags, "RoleId": "of its role"}
        policy = _read(functions, "get_policy", FunctionName=name)
        statements = json.loads(policy["Policy"])["Statement"] if isinstance(policy, dict) else []
        yield (
            f"function {name}",
            {
                **_some(function, _FUNCTION_PARTS),
                "variables": variables,
                "policy": sorted(
                    re.sub(r":[0-9a-z]{8,10}/", ":API/", json.dumps(one, sort_keys=True))
                    for one in statements
                ),
                "retries": _some(
                    _read(functions, "get_function_event_invoke_config", FunctionName=name), _RETRY_PARTS
                ),
                "network": _given(function.get("VpcConfig")),
                "concurrency": details.get("Concurrency"),
                "tags": tags,
            },
        )


def _secrets(client: Client) -> list[str]:
    pages = (
        client("ssm")
        .get_paginator("get_parameters_by_path")
        .paginate(Path="/imgpipe", Recursive=True, WithDecryption=True)
    )
    return [one["Value"] for page in pages for one in page["Parameters"] if one["Type"] == "SecureString"]


def _queues(client: Client) -> Iterator[tuple[str, Any]]:
    sqs = client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_QUEUE_PARTS).get("Attributes")
        tags = _tags(_read(sqs, "list_queue_tags", QueueUrl=url), "Tags")
        yield f"queue {url.rpartition('/')[2]}", {"attributes": found, "tags": tags}


def _parameters(client: Client) -> Iterator[tuple[str, Any]]:
    ssm = client("ssm")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/imgpipe", Recursive=True)
    for found in [one for page in pages for one in page["Parameters"]]:
        where = {"ResourceType": "Parameter", "ResourceId": found["Name"]}
        yield (
            f"parameter {found['Name']}",
            {
                "type": found["Type"],
                # The token is random.
                "value": "a secret" if found["Type"] == "SecureString" else found["Value"],
                "tags": _tags(_read(ssm, "list_tags_for_resource", **where), "TagList"),
            },
        )


def _logs(client: Client) -> Iterator[tuple[str, Any]]:
    logs = client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        arn = str(group["arn"]).removesuffix(":*")
        tags = _tags(_read(logs, "list_tags_for_resource", resourceArn=arn), "tags")
        yield f"logs {group['logGroupName']}", {"retention": group.get("retentionInDays"), "tags": tags}


def _apis(client: Client) -> Iterator[tuple[str, Any]]:
    gateway = client("apigatewayv2")
    numbers: Counter[str] = Counter()
    for api in gateway.get_apis()["Items"]:
        where = {"ApiId": api["ApiId"]}
        numbers[api["Name"]] += 1
        found = gateway.get_integrations(**where)["Items"]
        functions = {f"integrations/{one['IntegrationId']}": one["IntegrationUri"] for one in found}
        integrations = [
            {**_some(one, _INTEGRATION_PARTS), **{key: _given(one.get(key)) for key in _ALTERING}}
            for one in found
        ]
        stages = [_some(stage, _STAGE_PARTS) for stage in gateway.get_stages(**where)["Items"]]
        yield (
            # Their names need not differ.
            f"api {api['Name']}" + (f" {numbers[api['Name']]}" if numbers[api["Name"]] > 1 else ""),
            {
                **_some(api, _API_PARTS),
                "integrations": sorted(integrations, key=lambda one: str(one["IntegrationUri"])),
                "routes": sorted(
                    (
                        route["RouteKey"],
                        functions.get(route.get("Target", ""), route.get("Target")),
                        _some(route, _ROUTE_PARTS),
                    )
                    for route in gateway.get_routes(**where)["Items"]
                ),
                "stages": stages,
            },
        )


# Others are looked at as _any_service does.
_LOOKS: Mapping[str, Callable[[Client], Iterator[tuple[str, Any]]]] = {
    "s3": _buckets,
    "dynamodb": _tables,
    "iam": _roles,
    "lambda": _functions,
    "sqs": _queues,
    "ssm": _parameters,
    "logs": _logs,
    "apigatewayv2": _apis,
}
