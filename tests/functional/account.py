"""An AWS account that moto plays, the pipeline in it, and everything that is in it as plain data."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from moto import mock_aws

from imgpipe_cli import concurrent_runs, moving, runner
from imgpipe_cli.aws import Aws, Place
from imgpipe_cli.events import Emit
from imgpipe_cli.names import Names
from imgpipe_cli.pipeline import Pipeline
from imgpipe_cli.settings import Settings
from imgpipe_cli.steps import STEPS
from tests.operations import is_read

REGION = "eu-west-1"
NAMES = Names("demo", "123456789012", REGION)
SETTINGS = Settings(first_day="2026-01-01")
IN_S3 = Settings(first_day="2026-01-01", results="s3")
# What alters the requests and answers that go through an integration.
_ALTERING = ("RequestParameters", "ResponseParameters", "CredentialsArn", "ConnectionType")
_ASKED = ("AuthorizationType", "ApiKeyRequired")
_clients: dict[tuple[str, bool], Any] = {}


class Killed(BaseException):
    """What happens to a process that is killed: nothing catches it."""


def nothing(_event: object) -> None:
    """An Emit for those who do not want to know."""


class RecordingAws(Aws):
    """Records every change that is sent, and dies right after the one it is told to.

    keeps_tags: whether a bucket has the tags of its create call, as on AWS; others, as moto, drop them.
    """

    def __init__(self, *, die_after: int | None = None, keeps_tags: bool = True) -> None:
        self._now_s = 0.0
        super().__init__(
            Place(region=REGION, access_key_id="AKIATEST", secret_access_key="secret"),
            sleep=self._pass,
            clock=lambda: self._now_s,
        )
        self._clients = _clients  # making them takes longer than all else, and moto patches them all
        self.writes: list[tuple[str, str]] = []
        self.params: list[dict[str, Any]] = []
        self._die_after = die_after
        self._keeps_tags = keeps_tags
        self._counting = threading.Lock()

    def _pass(self, seconds: float) -> None:
        self._now_s += seconds

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        answer = super().call(service, operation, once=once, **params)
        if operation == "create_bucket" and self._keeps_tags:
            tags = params.get("CreateBucketConfiguration", {}).get("Tags")
            if tags:
                self.client("s3").put_bucket_tagging(Bucket=params["Bucket"], Tagging={"TagSet": tags})
        if not is_read(operation):
            with self._counting:
                self.writes.append((service, operation))
                self.params.append(params)
                if self._die_after is not None and len(self.writes) > self._die_after:
                    raise Killed
        return answer


class PlainHttpAws(RecordingAws):
    """An endpoint without TLS, where the TLS-only statement is left out of the buckets' policies.

    moto knows no conditions in a policy: with the statement it refuses everybody every object.
    """

    def __init__(self, *, die_after: int | None = None) -> None:
        super().__init__(die_after=die_after)
        self.place = Place(region=REGION)  # with keys of its own it would be the local cloud

    def endpoint(self, service: str) -> str:
        return super().endpoint(service).replace("https://", "http://")


@contextmanager
def fresh_account() -> Iterator[None]:
    with mock_aws(config={"lambda": {"use_docker": False}}):
        yield


def pipeline(aws: Aws, *, workers: int = 8) -> Pipeline:
    return Pipeline(STEPS, aws, NAMES, workers)


def up(aws: Aws, settings: Settings = SETTINGS, *, workers: int = 8, emit: Emit = nothing) -> Any:
    line = pipeline(aws, workers=workers)
    looks = runner.look(line, nothing)
    return concurrent_runs.up(line, looks, moving.begin(settings, looks), emit, lambda _stored: settings)


def down(
    aws: Aws, *, workers: int = 8, emit: Emit = nothing, keep: frozenset[str] = frozenset()
) -> list[str]:
    line = pipeline(aws, workers=workers)
    removals = runner.planned_removals(line, runner.look(line, nothing), emit, keep=keep)
    return runner.down(line, removals, emit, keep=keep)


# --- everything that is there --------------------------------------------------------------------


def inventory() -> dict[str, Any]:
    """All resources of the account that the pipeline's services hold, without ids and times."""
    aws = RecordingAws()
    found: dict[str, Any] = {}
    for look in (_buckets, _tables, _roles, _functions, _logs, _queues, _parameters, _apis):
        found |= look(aws)
    return json.loads(json.dumps(found, sort_keys=True, default=str))  # type: ignore[no-any-return]


def _buckets(aws: Aws) -> dict[str, Any]:
    found = {}
    for bucket in aws.call("s3", "list_buckets")["Buckets"]:
        name = bucket["Name"]
        parts = ("versioning", "encryption", "policy", "lifecycle_configuration", "cors", "tagging")
        found[f"bucket {name}"] = {
            part: _quiet(partial(aws.call, "s3", f"get_bucket_{part}", Bucket=name)) for part in parts
        } | {
            "notification": aws.call("s3", "get_bucket_notification_configuration", Bucket=name),
            "access": _quiet(partial(aws.call, "s3", "get_public_access_block", Bucket=name)),
            "ownership": _quiet(partial(aws.call, "s3", "get_bucket_ownership_controls", Bucket=name)),
        }
    return found


def _quiet(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:
        return str(error)


def _tables(aws: Aws) -> dict[str, Any]:
    found = {}
    for name in aws.call("dynamodb", "list_tables")["TableNames"]:
        table = aws.call("dynamodb", "describe_table", TableName=name)["Table"]
        kept = {k: table.get(k) for k in ("KeySchema", "BillingModeSummary")}
        indexes = table.get("GlobalSecondaryIndexes", [])
        kept["indexes"] = [
            {k: index.get(k) for k in ("IndexName", "KeySchema", "Projection")} for index in indexes
        ]
        kept["ttl"] = aws.call("dynamodb", "describe_time_to_live", TableName=name)
        kept["tags"] = aws.call("dynamodb", "list_tags_of_resource", ResourceArn=table["TableArn"])
        found[f"table {name}"] = kept
    return found


def _roles(aws: Aws) -> dict[str, Any]:
    found = {}
    for role in aws.call("iam", "list_roles")["Roles"]:
        name = role["RoleName"]
        policies = aws.call("iam", "list_role_policies", RoleName=name)["PolicyNames"]
        found[f"role {name}"] = {
            "trust": role["AssumeRolePolicyDocument"],
            "tags": aws.call("iam", "list_role_tags", RoleName=name)["Tags"],
            "policies": {
                policy: aws.call("iam", "get_role_policy", RoleName=name, PolicyName=policy)["PolicyDocument"]
                for policy in policies
            },
        }
    return found


def _functions(aws: Aws) -> dict[str, Any]:
    found = {}
    for function in aws.call("lambda", "list_functions")["Functions"]:
        name = function["FunctionName"]
        kept = {
            k: function.get(k)
            for k in (
                *("Handler", "Role", "Timeout", "MemorySize", "CodeSha256", "Runtime"),
                *("Description", "Architectures", "PackageType", "Layers"),
            )
        }
        kept["network"] = _given(function.get("VpcConfig"))
        # The token is random, and so is its hash.
        kept["environment"] = {
            key: "(hash)" if key == "TOKEN_SHA256" and value else value
            for key, value in function["Environment"]["Variables"].items()
        }
        policy = _quiet(partial(aws.call, "lambda", "get_policy", FunctionName=name))
        kept["policy"] = _without_api_id(policy["Policy"] if isinstance(policy, dict) else policy)
        retries = _quiet(partial(aws.call, "lambda", "get_function_event_invoke_config", FunctionName=name))
        kept["retries"] = (
            {key: value for key, value in retries.items() if key != "LastModified"}
            if isinstance(retries, dict)
            else retries
        )
        details = aws.call("lambda", "get_function", FunctionName=name)
        # The id of a role is random.
        role_ids = {role["RoleName"]: role["RoleId"] for role in aws.call("iam", "list_roles")["Roles"]}
        tags = details.get("Tags", {})
        if "RoleId" in tags and role_ids.get(_role(function), tags["RoleId"]) == tags["RoleId"]:
            tags = {**tags, "RoleId": "(of its role)"}
        kept["tags"] = tags
        kept["concurrency"] = details.get("Concurrency")
        found[f"function {name}"] = kept
    return found


def _role(function: dict[str, Any]) -> str:
    return str(function["Role"]).rsplit("/", 1)[1]


def _without_api_id(policy: str) -> Any:
    try:
        statements = json.loads(policy)["Statement"]
    except ValueError:
        return policy
    for statement in statements:
        for condition in statement.get("Condition", {}).values():
            for key, value in condition.items():
                if "execute-api" in value:
                    condition[key] = "(api)/" + value.split("/", 1)[1]
    return sorted(statements, key=lambda statement: str(statement["Sid"]))


def _logs(aws: Aws) -> dict[str, Any]:
    return {
        f"logs {group['logGroupName']}": {
            "retention": group.get("retentionInDays"),
            "tags": aws.call("logs", "list_tags_for_resource", resourceArn=group["logGroupArn"])["tags"],
        }
        for group in aws.call("logs", "describe_log_groups")["logGroups"]
    }


def _queues(aws: Aws) -> dict[str, Any]:
    urls = aws.call("sqs", "list_queues").get("QueueUrls", [])
    kept = [
        *("MessageRetentionPeriod", "SqsManagedSseEnabled", "VisibilityTimeout"),
        *("MaximumMessageSize", "DelaySeconds", "RedrivePolicy"),
    ]
    return {
        f"queue {url.rsplit('/', 1)[1]}": {
            **aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=kept)["Attributes"],
            "tags": aws.call("sqs", "list_queue_tags", QueueUrl=url).get("Tags"),
        }
        for url in urls
    }


def _parameters(aws: Aws) -> dict[str, Any]:
    found = aws.call("ssm", "describe_parameters")["Parameters"]
    return {
        f"parameter {p['Name']}": {
            "type": p["Type"],
            # The token is random.
            "value": p["Type"] == "SecureString"
            or aws.call("ssm", "get_parameter", Name=p["Name"])["Parameter"]["Value"],
            "tags": aws.call("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId=p["Name"])[
                "TagList"
            ],
        }
        for p in found
        if not p["Name"].startswith("/aws/")
    }


def _given(value: Any) -> str:
    """Mappings without what is empty; the default like nothing."""
    given = {key: one for key, one in value.items() if one} if isinstance(value, dict) else value
    return "" if not given or given == "INTERNET" else str(given)


def _apis(aws: Aws) -> dict[str, Any]:
    found = {}
    for number, api in enumerate(aws.call("apigatewayv2", "get_apis")["Items"]):
        where = {"ApiId": api["ApiId"]}
        integrations = aws.call("apigatewayv2", "get_integrations", **where)["Items"]
        targets = {f"integrations/{i['IntegrationId']}": i["IntegrationUri"] for i in integrations}
        found[f"api {api['Name']} {number}"] = {
            "cors": api.get("CorsConfiguration"),
            "closed": api.get("DisableExecuteApiEndpoint"),
            "description": api.get("Description"),
            "tags": api.get("Tags"),
            "integrations": sorted(
                (i["IntegrationUri"], *(_given(i.get(key)) for key in _ALTERING)) for i in integrations
            ),
            "routes": sorted(
                (
                    route["RouteKey"],
                    targets.get(route["Target"], route["Target"]),
                    *(route[k] for k in _ASKED),
                )
                for route in aws.call("apigatewayv2", "get_routes", **where)["Items"]
            ),
            "stages": [
                {
                    k: stage.get(k)
                    for k in ("StageName", "AutoDeploy", "DefaultRouteSettings", "AccessLogSettings")
                }
                for stage in aws.call("apigatewayv2", "get_stages", **where)["Items"]
            ],
        }
    return found
