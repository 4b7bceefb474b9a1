"""What somebody may do to a pipeline by hand, with a plain client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.lambdas import package
from tests.support.account import NAMES

Do = Callable[[Aws], Any]


def call(service: str, operation: str, **params: Any) -> Do:
    return lambda aws: getattr(aws.client(service), operation)(**params)


def each(*steps: Do) -> Do:
    def do(aws: Aws) -> None:
        for step in steps:
            step(aws)

    return do


# --- what is where -------------------------------------------------------------------------------

BUCKET = NAMES.bucket
ROLE = NAMES.role("ingest")
INGEST, GET_RESULT, WEB = (NAMES.function(name) for name in ("ingest", "get_result", "web"))
GROUP = NAMES.log_group("web")
REDRIVE = json.dumps({"deadLetterTargetArn": NAMES.queue_arn, "maxReceiveCount": 1})
KEYS = [{"AttributeName": "objectKey", "KeyType": "HASH"}]
INDEX = {
    "IndexName": "by-time",
    "KeySchema": [
        {"AttributeName": "day", "KeyType": "HASH"},
        {"AttributeName": "analyzedAt", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def s3(operation: str, **params: Any) -> Do:
    return call("s3", operation, Bucket=BUCKET, **params)


def queue(operation: str, **params: Any) -> Do:
    def do(aws: Aws) -> Any:
        client = aws.client("sqs")
        url = client.get_queue_url(QueueName=NAMES.queue)["QueueUrl"]
        return getattr(client, operation)(QueueUrl=url, **params)

    return do


def api_id(aws: Aws) -> str:
    apis = aws.client("apigatewayv2").get_apis()["Items"]
    return str(next(api["ApiId"] for api in apis if api.get("Tags")))


def gateway(operation: str, **params: Any) -> Do:
    return lambda aws: getattr(aws.client("apigatewayv2"), operation)(ApiId=api_id(aws), **params)


def route(aws: Aws, key: str) -> dict[str, Any]:
    routes = aws.client("apigatewayv2").get_routes(ApiId=api_id(aws))["Items"]
    found: dict[str, Any] = next(one for one in routes if one["RouteKey"] == key)
    return found


# --- what they do --------------------------------------------------------------------------------


def edit_policy(aws: Aws) -> None:
    policy = aws.client("iam").get_role_policy(RoleName=ROLE, PolicyName="imgpipe")["PolicyDocument"]
    policy["Statement"][0]["Resource"] = "*"
    put = call(
        "iam", "put_role_policy", RoleName=ROLE, PolicyName="imgpipe", PolicyDocument=json.dumps(policy)
    )
    put(aws)


def edit_trust(aws: Aws) -> None:
    trust = aws.client("iam").get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Principal"] = {"AWS": "*"}
    call("iam", "update_assume_role_policy", RoleName=ROLE, PolicyDocument=json.dumps(trust))(aws)


def remove_role(aws: Aws) -> None:
    call("iam", "delete_role_policy", RoleName=ROLE, PolicyName="imgpipe")(aws)
    call("iam", "delete_role", RoleName=ROLE)(aws)


def make_role_anew(aws: Aws) -> None:
    """The same in every word: only its id is another."""
    iam = aws.client("iam")
    role = iam.get_role(RoleName=ROLE)["Role"]
    policy = iam.get_role_policy(RoleName=ROLE, PolicyName="imgpipe")["PolicyDocument"]
    remove_role(aws)
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust, Tags=NAMES.tag_list)
    iam.put_role_policy(RoleName=ROLE, PolicyName="imgpipe", PolicyDocument=json.dumps(policy))


def edit_bucket_policy(aws: Aws) -> None:
    policy = json.loads(aws.client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"][0]["Effect"] = "Allow"
    s3("put_bucket_policy", Policy=json.dumps(policy))(aws)


def single_statement(**changed: Any) -> Do:
    """The bucket's policy as one statement that stands in no list."""

    def do(aws: Aws) -> None:
        policy = json.loads(aws.client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])
        policy["Statement"] = {**policy["Statement"][0], **changed}
        s3("put_bucket_policy", Policy=json.dumps(policy))(aws)

    return do


def edit_lifecycle(bucket: str) -> Do:
    def do(aws: Aws) -> None:
        client = aws.client("s3")
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        rules[0]["Status"] = "Disabled"
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    return do


def edit_cors(aws: Aws) -> None:
    rules = aws.client("s3").get_bucket_cors(Bucket=BUCKET)["CORSRules"]
    rules[0]["AllowedMethods"] = ["GET"]
    s3("put_bucket_cors", CORSConfiguration={"CORSRules": rules})(aws)


def edit_notification(**changed: Any) -> Do:
    def do(aws: Aws) -> None:
        client = aws.client("s3")
        (entry,) = client.get_bucket_notification_configuration(Bucket=BUCKET)["LambdaFunctionConfigurations"]
        document = {"LambdaFunctionConfigurations": [{**entry, **changed}]}
        s3("put_bucket_notification_configuration", NotificationConfiguration=document)(aws)

    return do


def edit_environment(aws: Aws) -> None:
    client = aws.client("lambda")
    found = client.get_function(FunctionName=INGEST)["Configuration"]["Environment"]["Variables"]
    variables = {**found, "FEATURES": "faces"}
    client.update_function_configuration(FunctionName=INGEST, Environment={"Variables": variables})


def edit_code(aws: Aws) -> None:
    call("lambda", "update_function_code", FunctionName=INGEST, ZipFile=package.build("web"))(aws)


def configure(**params: Any) -> Do:
    return call("lambda", "update_function_configuration", FunctionName=INGEST, **params)


def add_layer(aws: Aws) -> None:
    content = {"ZipFile": package.build("web")}
    made = aws.client("lambda").publish_layer_version(LayerName="theirs", Content=content)
    configure(Layers=[made["LayerVersionArn"]])(aws)


def put_into_network(aws: Aws) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc)["GroupId"]
    configure(VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group]})(aws)


def edit_permission(aws: Aws) -> None:
    client, sid = aws.client("lambda"), {"FunctionName": INGEST, "StatementId": "imgpipe-s3"}
    client.remove_permission(**sid)
    client.add_permission(**sid, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")


def narrow_permission(aws: Aws) -> None:
    """For one organization only."""
    client, sid = aws.client("lambda"), {"FunctionName": WEB, "StatementId": "imgpipe-apigateway"}
    (found,) = json.loads(client.get_policy(FunctionName=WEB)["Policy"])["Statement"]
    source = found["Condition"]["ArnLike"]["AWS:SourceArn"]
    client.remove_permission(**sid)
    invoke = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    client.add_permission(**sid, **invoke, SourceArn=source, PrincipalOrgID="o-abcdefghij")


def every_stage(aws: Aws) -> None:
    """As the permission of an older version."""
    client, sid = aws.client("lambda"), {"FunctionName": WEB, "StatementId": "imgpipe-apigateway"}
    client.remove_permission(**sid)
    invoke = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    client.add_permission(**sid, **invoke, SourceArn=NAMES.api_route_arn(api_id(aws), "*/*"))


def older_settings(aws: Aws) -> None:
    client = aws.client("ssm")
    document = json.loads(client.get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"])
    del document["results"]
    value = json.dumps(document)
    client.put_parameter(Name=NAMES.settings_parameter, Type="String", Value=value, Overwrite=True)


def integration(aws: Aws, key: str) -> str:
    """The id of the integration that a route leads to."""
    return str(route(aws, key)["Target"].split("/")[1])


def alter_integration(**altered: Any) -> Do:
    def do(aws: Aws) -> None:
        gateway("update_integration", IntegrationId=integration(aws, "GET /results"), **altered)(aws)

    return do


def alter_route(**altered: Any) -> Do:
    def do(aws: Aws) -> None:
        gateway("update_route", RouteId=route(aws, "GET /results")["RouteId"], **altered)(aws)

    return do


def retarget(aws: Aws) -> None:
    other = route(aws, "GET /")["Target"]
    gateway("update_route", RouteId=route(aws, "GET /result")["RouteId"], Target=other)(aws)


def another_route(aws: Aws) -> None:
    gateway("create_route", RouteKey="GET /more", Target=route(aws, "GET /")["Target"])(aws)


def remove_route(aws: Aws) -> None:
    gateway("delete_route", RouteId=route(aws, "GET /image")["RouteId"])(aws)


def delete_index(name: str) -> Do:
    gone = [{"Delete": {"IndexName": name}}]
    return call("dynamodb", "update_table", TableName=NAMES.table, GlobalSecondaryIndexUpdates=gone)


def provision(aws: Aws) -> None:
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    each_index = [
        {"Update": {"IndexName": name, "ProvisionedThroughput": throughput}} for name in ("by-time", "failed")
    ]
    aws.client("dynamodb").update_table(
        TableName=NAMES.table,
        BillingMode="PROVISIONED",
        ProvisionedThroughput=throughput,
        GlobalSecondaryIndexUpdates=each_index,
    )
