"""Where AWS and moto differ: requests that AWS refuses when they come a second time, as a repetition by the
SDK after a lost answer does, and the tags of a new bucket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from tests.crash_matrix.faults import Answer
from tests.crash_matrix.requests_by_name import Request

Client = Callable[[str], Any]


def refusal(request: Request, client: Client) -> Answer | None:
    """AWS's refusal if this has been done already. client: looks into the account."""
    if request.headers.get("x-amz-target", "").endswith(".UpdateTimeToLive"):
        return _time_to_live(json.loads(request.body), client)
    for method, path, look in _BY_PATH:
        found = re.fullmatch(path, request.path) if request.method == method else None
        if found:
            return look(found.groups(), json.loads(request.body or b"{}"), client)
    return None


def keep_tags(request: Request, client: Client) -> None:
    """What moto drops of the call that has made a bucket."""
    tags = re.findall(rb"<Tag><Key>(.*?)</Key><Value>(.*?)</Value></Tag>", request.body or b"")
    if request.method == "PUT" and b"<CreateBucketConfiguration" in (request.body or b"") and tags:
        pairs = [{"Key": key.decode(), "Value": value.decode()} for key, value in tags]
        bucket = request.path.strip("/").split("?")[0]
        client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs})


def _time_to_live(asked: Mapping[str, Any], client: Client) -> Answer | None:
    found = client("dynamodb").describe_time_to_live(TableName=asked["TableName"])["TimeToLiveDescription"]
    if found["TimeToLiveStatus"] != "ENABLED":
        return None
    error = {
        "__type": "com.amazon.coral.validate#ValidationException",
        "message": "TimeToLive is already enabled",
    }
    return Answer(400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(error).encode())


def _permission(where: tuple[str, ...], asked: Mapping[str, Any], client: Client) -> Answer | None:
    try:
        policy = client("lambda").get_policy(FunctionName=where[0])["Policy"]
    except ClientError:
        return None
    sid = asked["StatementId"]
    if sid not in [statement["Sid"] for statement in json.loads(policy)["Statement"]]:
        return None
    return _refused(409, "ResourceConflictException", f"The statement id ({sid}) provided already exists.")


def _route(where: tuple[str, ...], asked: Mapping[str, Any], client: Client) -> Answer | None:
    routes = client("apigatewayv2").get_routes(ApiId=where[0])["Items"]
    if asked["routeKey"] not in [route["RouteKey"] for route in routes]:
        return None
    return _refused(
        409, "ConflictException", f"Route with key {asked['routeKey']} already exists for this API"
    )


def _stage(where: tuple[str, ...], asked: Mapping[str, Any], client: Client) -> Answer | None:
    stages = client("apigatewayv2").get_stages(ApiId=where[0])["Items"]
    there = asked["stageName"] in [stage["StageName"] for stage in stages]
    return _refused(409, "ConflictException", "Stage already exists") if there else None


def _gone(where: tuple[str, ...], _asked: Mapping[str, Any], client: Client) -> Answer | None:
    apis = [api["ApiId"] for api in client("apigatewayv2").get_apis()["Items"]]
    return (
        None if where[0] in apis else _refused(404, "NotFoundException", "Invalid API identifier specified")
    )


_BY_PATH = (
    ("POST", r"/2015-03-31/functions/([^/]+)/policy", _permission),
    ("POST", r"/v2/apis/([^/]+)/routes", _route),
    ("POST", r"/v2/apis/([^/]+)/stages", _stage),
    ("DELETE", r"/v2/apis/([^/]+)", _gone),
)


def _refused(status: int, code: str, message: str) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Answer(status, headers, json.dumps({"message": message}).encode())
