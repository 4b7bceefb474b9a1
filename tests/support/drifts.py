"""What somebody may change by hand in a pipeline, one thing in each row, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imgpipe_cli.session.settings import Settings
from tests.support import drift_actions as hands
from tests.support.account import IN_S3, NAMES, SETTINGS
from tests.support.drift_actions import (
    BUCKET,
    GET_RESULT,
    GROUP,
    INGEST,
    ROLE,
    WEB,
    Do,
    call,
    configure,
    gateway,
    queue,
    s3,
)

TABLE, API = NAMES.table, NAMES.api
TTL = {"AttributeName": "expiresAt", "Enabled": False}
# What else goes with a thing, and what says so.
GONE_WITH_API: Mapping[str, tuple[str, ...]] = {
    "api": (),
    "api.routes": (),
    "api.stage": (),
    "permission.api.get_result": (
        f"remove outdated permission imgpipe-apigateway of function {NAMES.function('get_result')}",
        f"add permission imgpipe-apigateway to function {NAMES.function('get_result')}",
    ),
    "permission.api.web": (
        f"remove outdated permission imgpipe-apigateway of function {WEB}",
        f"add permission imgpipe-apigateway to function {WEB}",
    ),
}
CONFIGURE = "lambda.update_function_configuration"
GIVEN_ANEW = (
    CONFIGURE,
    "lambda.tag_resource",
    CONFIGURE,
)


@dataclass(frozen=True)
class Drift:
    """do: what somebody does. shown: resource -> the drift that `status` then shows, none: that it is
    missing. calls: all that `up` then sends, in order."""

    what: str
    do: Do
    shown: Mapping[str, tuple[str, ...]]
    calls: tuple[str, ...]
    settings: Settings = SETTINGS


def bucket(what: str, do: Do, difference: str, *calls: str) -> Drift:
    return Drift(what, do, {"bucket": (f"set {difference} of bucket {BUCKET}",)}, calls)


def of_queue(what: str, difference: str, **attributes: str) -> Drift:
    shown = {"queue": (f"set {difference} of queue {NAMES.queue}",)}
    return Drift(
        what, queue("set_queue_attributes", Attributes=attributes), shown, ("sqs.set_queue_attributes",)
    )


def function(what: str, do: Do, difference: str) -> Drift:
    shown = {"function.ingest": (f"update {difference} of function {INGEST}",)}
    return Drift(what, do, shown, (CONFIGURE,))


def reserved(what: str, do: Do, instead: str) -> Drift:
    shown = {"function.ingest": (f"set reserved concurrency 20{instead} of function {INGEST}",)}
    return Drift(what, do, shown, ("lambda.put_function_concurrency",))


def integration(what: str, **altered: object) -> Drift:
    """Of the integration with the function web: its id is random, and the second one that is made."""
    return Drift(
        what,
        hands.alter_integration(**altered),
        {"api.routes": ("update integration with function " + WEB,)},
        ("apigatewayv2.update_integration",),
    )


def permission(what: str, do: Do, name: str, function: str, sid: str) -> Drift:
    shown = (
        f"remove outdated permission {sid} of function {function}",
        f"add permission {sid} to function {function}",
    )
    return Drift(what, do, {name: shown}, ("lambda.remove_permission", "lambda.add_permission"))


DRIFTS = [
    Drift(
        "settings removed",
        call("ssm", "delete_parameter", Name=NAMES.settings_parameter),
        {"settings": ()},
        ("ssm.put_parameter",),
    ),
    Drift(
        "settings of an older version",
        hands.older_settings,
        {"settings": (f"update parameter {NAMES.settings_parameter}",)},
        ("ssm.put_parameter",),
    ),
    bucket("bucket policy removed", s3("delete_bucket_policy"), "policy (TLS only)", "s3.put_bucket_policy"),
    bucket(
        "bucket policy edited, in no list",
        hands.single_statement(Effect="Allow"),
        "policy (TLS only)",
        "s3.put_bucket_policy",
    ),
    bucket("bucket policy edited", hands.edit_bucket_policy, "policy (TLS only)", "s3.put_bucket_policy"),
    bucket(
        "versions suspended",
        s3("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
        "versioning",
        "s3.put_bucket_versioning",
    ),
    bucket("encryption removed", s3("delete_bucket_encryption"), "encryption", "s3.put_bucket_encryption"),
    bucket(
        "public access block removed",
        s3("delete_public_access_block"),
        "public access block",
        "s3.put_public_access_block",
    ),
    bucket(
        "public access allowed",
        s3("put_public_access_block", PublicAccessBlockConfiguration={"BlockPublicAcls": False}),
        "public access block",
        "s3.put_public_access_block",
    ),
    bucket(
        "ACLs allowed",
        s3(
            "put_bucket_ownership_controls",
            OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
        ),
        "ownership (ACLs off)",
        "s3.put_bucket_ownership_controls",
    ),
    bucket(
        "lifecycle removed",
        s3("delete_bucket_lifecycle"),
        "lifecycle",
        "s3.put_bucket_lifecycle_configuration",
    ),
    bucket(
        "lifecycle edited", hands.edit_lifecycle(BUCKET), "lifecycle", "s3.put_bucket_lifecycle_configuration"
    ),
    bucket("bucket CORS removed", s3("delete_bucket_cors"), "CORS", "s3.put_bucket_cors"),
    bucket("bucket CORS edited", hands.edit_cors, "CORS", "s3.put_bucket_cors"),
    bucket("tags of the empty bucket removed", s3("delete_bucket_tagging"), "tags", "s3.put_bucket_tagging"),
    Drift(
        "lifecycle of the results bucket edited",
        hands.edit_lifecycle(NAMES.results_bucket),
        {"results_bucket": (f"set lifecycle of bucket {NAMES.results_bucket}",)},
        ("s3.put_bucket_lifecycle_configuration",),
        IN_S3,
    ),
    Drift(
        "policy of the results bucket removed",
        call("s3", "delete_bucket_policy", Bucket=NAMES.results_bucket),
        {"results_bucket": (f"set policy (TLS only) of bucket {NAMES.results_bucket}",)},
        ("s3.put_bucket_policy",),
        IN_S3,
    ),
    Drift(
        "table removed",
        call("dynamodb", "delete_table", TableName=TABLE),
        {"table": (), "table.ttl": ()},
        ("dynamodb.create_table", "dynamodb.update_time_to_live"),
    ),
    Drift(
        "index table removed",
        call("dynamodb", "delete_table", TableName=NAMES.index_table),
        {"index_table": ()},
        # From before it is made until it is filled, the function that lists results does not read it. No
        # process of the other one is left that remembers what was in the removed table.
        (CONFIGURE, CONFIGURE, "dynamodb.create_table", CONFIGURE, CONFIGURE),
        IN_S3,
    ),
    Drift(
        "billing changed",
        hands.provision,
        {"table": (f"update billing of table {TABLE}",)},
        ("dynamodb.update_table",),
    ),
    Drift(
        "index removed",
        hands.delete_index("by-time"),
        {"table": (f"create index by-time of table {TABLE}",)},
        ("dynamodb.update_table",),
    ),
    Drift(
        "both indexes removed",
        hands.each(hands.delete_index("by-time"), hands.delete_index("failed")),
        {"table": (f"create index by-time of table {TABLE}", f"create index failed of table {TABLE}")},
        ("dynamodb.update_table", "dynamodb.update_table"),
    ),
    Drift(
        "time to live switched off",
        call("dynamodb", "update_time_to_live", TableName=TABLE, TimeToLiveSpecification=TTL),
        {"table.ttl": (f"set time to live of table {TABLE}",)},
        ("dynamodb.update_time_to_live",),
    ),
    Drift(
        "role removed",
        hands.remove_role,
        {"role.ingest": ()},
        ("iam.create_role", "iam.put_role_policy", *GIVEN_ANEW),
    ),
    Drift(
        "role made anew by hand",
        hands.make_role_anew,
        {
            "function.ingest": (
                f"update role of function {INGEST} for a moment, since its own was made anew",
                f"set tag RoleId of function {INGEST}",
                f"update role of function {INGEST}",
            )
        },
        GIVEN_ANEW,
    ),
    Drift(
        "trust policy edited",
        hands.edit_trust,
        {"role.ingest": (f"update trust policy of role {ROLE}",)},
        ("iam.update_assume_role_policy",),
    ),
    Drift(
        "policy edited",
        hands.edit_policy,
        {"role.ingest": (f"set policy of role {ROLE}",)},
        ("iam.put_role_policy",),
    ),
    Drift(
        "policy removed",
        call("iam", "delete_role_policy", RoleName=ROLE, PolicyName="imgpipe"),
        {"role.ingest": (f"set policy of role {ROLE}",)},
        ("iam.put_role_policy",),
    ),
    Drift(
        "retention emptied",
        call("logs", "delete_retention_policy", logGroupName=GROUP),
        {"logs.web": (f"set retention of log group {GROUP} to 14 days",)},
        ("logs.put_retention_policy",),
    ),
    Drift(
        "retention changed",
        call("logs", "put_retention_policy", logGroupName=NAMES.access_log_group, retentionInDays=1),
        {"logs.api": (f"set retention of log group {NAMES.access_log_group} to 14 days",)},
        ("logs.put_retention_policy",),
    ),
    Drift(
        "log group removed",
        call("logs", "delete_log_group", logGroupName=GROUP),
        {"logs.web": ()},
        ("logs.create_log_group", "logs.put_retention_policy"),
    ),
    Drift("queue removed", queue("delete_queue"), {"queue": ()}, ("sqs.create_queue",)),
    of_queue("retention of the queue changed", "retention", MessageRetentionPeriod="60"),
    of_queue("encryption of the queue switched off", "encryption", SqsManagedSseEnabled="false"),
    of_queue("queue for small messages only", "message size", MaximumMessageSize="1024"),
    of_queue("queue delayed", "delay", DelaySeconds="900"),
    of_queue("queue that hands on", "redrive policy", RedrivePolicy=hands.REDRIVE),
    Drift(
        "function removed",
        call("lambda", "delete_function", FunctionName=INGEST),
        {"function.ingest": (), "retries": (), "permission.bucket": ()},
        (
            "lambda.create_function",
            "lambda.put_function_concurrency",
            "lambda.put_function_event_invoke_config",
            "lambda.add_permission",
        ),
    ),
    function("memory changed", configure(MemorySize=128), "memorysize"),
    function("timeout changed", configure(Timeout=3), "timeout"),
    function("handler changed", configure(Handler="mine.handler"), "handler"),
    function("runtime changed", configure(Runtime="python3.11"), "runtime"),
    function("description changed", configure(Description="mine"), "description"),
    function("role changed", configure(Role=NAMES.role_arn("web")), "role"),
    function("environment edited", hands.edit_environment, "environment"),
    function("several changed", configure(Timeout=3, MemorySize=128), "timeout, memorysize"),
    function("layer added", hands.add_layer, "layers"),
    function("put into a network", hands.put_into_network, "vpcconfig"),
    reserved(
        "cap raised",
        call("lambda", "put_function_concurrency", FunctionName=INGEST, ReservedConcurrentExecutions=500),
        " instead of 500",
    ),
    reserved("cap removed", call("lambda", "delete_function_concurrency", FunctionName=INGEST), ""),
    Drift(
        "code changed",
        hands.edit_code,
        {"function.ingest": (f"update code of function {INGEST}",)},
        ("lambda.update_function_code",),
    ),
    Drift(
        "retries removed",
        call("lambda", "delete_function_event_invoke_config", FunctionName=INGEST),
        {"retries": ()},
        ("lambda.put_function_event_invoke_config",),
    ),
    Drift(
        "permission removed",
        call("lambda", "remove_permission", FunctionName=INGEST, StatementId="imgpipe-s3"),
        {"permission.bucket": ()},
        ("lambda.add_permission",),
    ),
    permission("permission edited", hands.edit_permission, "permission.bucket", INGEST, "imgpipe-s3"),
    permission(
        "permission with one more condition",
        hands.narrow_permission,
        *("permission.api.web", WEB, "imgpipe-apigateway"),
    ),
    permission(
        "permission for every stage",
        hands.every_stage,
        *("permission.api.web", WEB, "imgpipe-apigateway"),
    ),
    Drift(
        "notification removed",
        s3("put_bucket_notification_configuration", NotificationConfiguration={}),
        {"notification": ()},
        ("s3.put_bucket_notification_configuration",),
    ),
    Drift(
        "notification for fewer events",
        hands.edit_notification(Events=["s3:ObjectCreated:Put"]),
        {"notification": (f"update notification of bucket {BUCKET}",)},
        ("s3.put_bucket_notification_configuration",),
    ),
    Drift(
        "notification for some keys only",
        hands.edit_notification(Filter={"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}}),
        {"notification": (f"update notification of bucket {BUCKET}",)},
        ("s3.put_bucket_notification_configuration",),
    ),
    Drift(
        "access token removed",
        call("ssm", "delete_parameter", Name=NAMES.token_parameter),
        {
            "token": (),
            "function.get_result": (f"update environment of function {GET_RESULT}",),
            "function.web": (f"update environment of function {WEB}",),
        },
        ("ssm.put_parameter", *[CONFIGURE] * 2),
    ),
    Drift(
        "API removed",
        gateway("delete_api"),
        GONE_WITH_API,
        (
            "apigatewayv2.create_api",
            *["apigatewayv2.create_integration"] * 2,
            *["apigatewayv2.create_route"] * 9,
            "apigatewayv2.create_stage",
            *["lambda.remove_permission", "lambda.add_permission"] * 2,
        ),
    ),
    Drift(
        "CORS of the API removed",
        gateway("delete_cors_configuration"),
        {"api": (f"update CORS of API {API}",)},
        ("apigatewayv2.update_api",),
    ),
    Drift(
        "CORS of the API changed",
        gateway("update_api", CorsConfiguration={"AllowOrigins": ["https://example.org"]}),
        {"api": (f"update CORS of API {API}",)},
        ("apigatewayv2.update_api",),
    ),
    Drift(
        "description of the API changed",
        gateway("update_api", Description="mine"),
        {"api": (f"update description of API {API}",)},
        ("apigatewayv2.update_api",),
    ),
    Drift(
        "API closed",
        gateway("update_api", DisableExecuteApiEndpoint=True),
        {"api": (f"open endpoint of API {API}",)},
        ("apigatewayv2.update_api",),
    ),
    Drift(
        "route removed",
        hands.remove_route,
        {"api.routes": ("create route GET /image",)},
        ("apigatewayv2.create_route",),
    ),
    Drift(
        "route retargeted",
        hands.retarget,
        {"api.routes": ("update route GET /result",)},
        ("apigatewayv2.update_route",),
    ),
    Drift(
        "route asks for a signature",
        hands.alter_route(AuthorizationType="AWS_IAM"),
        {"api.routes": ("update route GET /results",)},
        ("apigatewayv2.update_route",),
    ),
    Drift(
        "route asks for an API key",
        hands.alter_route(ApiKeyRequired=True),
        {"api.routes": ("update route GET /results",)},
        ("apigatewayv2.update_route",),
    ),
    integration(
        "integration sends a token", RequestParameters={"overwrite:header.authorization": "Bearer any"}
    ),
    integration("integration alters answers", ResponseParameters={"200": {"overwrite:header.x": "y"}}),
    integration("integration takes a role", CredentialsArn=NAMES.role_arn("web")),
    integration("integration in a network", ConnectionType="VPC_LINK"),
    Drift(
        "another route to a function of ours",
        hands.another_route,
        {"api.routes": ("delete outdated route GET /more",)},
        ("apigatewayv2.delete_route",),
    ),
    Drift(
        "stage removed",
        gateway("delete_stage", StageName="prod"),
        {"api.stage": ()},
        ("apigatewayv2.create_stage",),
    ),
]
