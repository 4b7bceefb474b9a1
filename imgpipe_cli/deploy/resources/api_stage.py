"""The stage of the HTTP API: its throttle and its access logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import ANY_LOGS, APIS
from imgpipe_cli.aws.iam.uses import LOOK, UP, Op, uses
from imgpipe_cli.aws.names import STAGE, Names
from imgpipe_cli.deploy.resource import Call, Change, Context, Observed, Resource, TransientError
from imgpipe_cli.deploy.resources.api_gateway import INSIDE, NEW_API, api_id
from imgpipe_cli.deploy.resources.api_routes import ROUTES

# Enough for a family of pages that poll, far below what would make a bill: requests a second.
_THROTTLE = {"ThrottlingRateLimit": 50.0, "ThrottlingBurstLimit": 100}
_ACCESS_LOG = json.dumps(
    {
        "requestId": "$context.requestId",
        "time": "$context.requestTime",
        "ip": "$context.identity.sourceIp",
        "routeKey": "$context.routeKey",
        "status": "$context.status",
        "ms": "$context.responseLatency",
        "integrationError": "$context.integrationErrorMessage",
    }
)
_LOGGING = TransientError(
    "BadRequestException",
    "nsufficient permissions to enable logging",
    "the log delivery is being set up",
    hint="If it never passes, your own rights lack what API Gateway needs to write access logs for you: "
    "logs:CreateLogDelivery, logs:ListLogDeliveries, logs:DescribeResourcePolicies, logs:PutResourcePolicy.",
)
_TAGGED_STAGE = (
    "AWS refuses new stages without apigateway:TagResource (reports since 2023, amplify-cli#12316). Perhaps "
    "it refuses only those with tags, and imgpipe's have none. The Service Authorization Reference does not "
    "know the permission"
)
# Access logs: the list of API Gateway's guide to logging of HTTP APIs.
_LOG_DELIVERY = tuple(
    (ANY_LOGS, f"logs:{action}")
    for action in (
        "CreateLogDelivery",
        "DeleteLogDelivery",
        "DescribeResourcePolicies",
        "GetLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "UpdateLogDelivery",
    )
)


class Stage(Resource):
    """The stage `prod`: deploys by itself, throttled, with access logs."""

    name = "api.stage"
    title = "the stage of the HTTP API"
    iam = (
        *uses(LOOK, APIS, "apigatewayv2.get_stage"),
        *uses(
            UP,
            APIS,
            Op(
                "apigatewayv2.create_stage",
                also=("apigateway:TagResource", *_LOG_DELIVERY),
                unverified=_TAGGED_STAGE,
            ),
            Op("apigatewayv2.update_stage", also=_LOG_DELIVERY),
        ),
    )
    needs = ("api", "logs.api")
    parent = "api"

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = api_id(aws, names)
        stage = found and aws.find("apigatewayv2", "get_stage", ApiId=found, StageName=STAGE)
        if not stage:
            return Observed(exists=False, facts={"id": found or NEW_API})
        return Observed(exists=True, facts={"id": found, "stage": stage})

    def diff(self, context: Context) -> Iterator[Change]:
        observed = context.observed
        logs = {
            "DestinationArn": context.names.log_group_arn(context.names.access_log_group),
            "Format": _ACCESS_LOG,
        }
        wanted = {"AutoDeploy": True, "DefaultRouteSettings": _THROTTLE, "AccessLogSettings": logs}
        params = {"ApiId": observed.facts["id"], "StageName": STAGE, **wanted}
        transient = (*INSIDE, _LOGGING)
        if not observed.exists:
            yield Change("create", f"stage {STAGE}", Call("apigatewayv2", "create_stage", params, transient))
        elif (routes := _throttled(observed.facts["stage"])) or not _covers(observed.facts["stage"], wanted):
            call = Call("apigatewayv2", "update_stage", {**params, **routes}, transient)
            yield Change("update", f"stage {STAGE}", call)

    def answered(
        self, _aws: Aws, context: Context, _change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        return Observed(exists=True, facts={**context.observed.facts, "stage": answer})


def _throttled(stage: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of single routes with our limits where one of our routes has others; else none.

    A route's own limits take the place of the stage's.
    """
    found: Mapping[str, Any] = stage.get("RouteSettings") or {}
    owned = {key: one for key, one in found.items() if key in ROUTES and not _covers(one, _THROTTLE)}
    mended = {key: {**one, **_THROTTLE} for key, one in owned.items()}
    return {"RouteSettings": {**found, **mended}} if mended else {}


def _covers(found: Any, wanted: Any) -> bool:
    """True if everything wanted is in what was found; more may be."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _covers(found.get(key), value) for key, value in wanted.items()
        )
    return bool(found == wanted)
