"""The HTTP API in front of the result functions.

An API's name is not unique and its id is random, so it is found again by name and tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.names import FUNCTIONS, STAGE, Names
from imgpipe_cli.deploy.resource import Call, Change, Computed, Context, Observed, Resource, TransientError

# Route -> the function that answers it.
ROUTES: Mapping[str, str] = {
    "GET /result": "get_result",
    "GET /results": "web",
    "POST /uploads": "web",
    "GET /image": "web",
    "GET /": "web",
    "GET /assets/{file}": "web",
}
_CORS = {
    "AllowOrigins": ["*"],  # no cookies: what needs protection needs the token
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["authorization", "content-type"],
    "ExposeHeaders": ["etag", "x-amz-version-id"],
    "MaxAge": 3600,
}
_DESCRIPTION = "Results of an imgpipe pipeline"
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
NEW_API = Computed("new api")
_NOT_THERE = ("NotFoundException",)
_BUSY = (
    TransientError("ConflictException", why="API Gateway is still working on another change"),
    # The control plane takes 10 requests a second for the whole account.
    TransientError("TooManyRequestsException", why="API Gateway takes few changes a second"),
)
# The API was the second one and another run has removed it, or it is not visible everywhere yet.
_NO_API = TransientError(
    "NotFoundException", why="API Gateway does not know it (any more)", limit_s=60, outdated="api"
)
_NO_INTEGRATION = TransientError(
    "BadRequestException", "ntegration", "another run has replaced the integration", 60
)
_INSIDE = (*_BUSY, _NO_API, _NO_INTEGRATION)
_LOGGING = TransientError(
    "BadRequestException",
    "nsufficient permissions to enable logging",
    "the log delivery is being set up",
    hint="If it never passes, your own rights lack what API Gateway needs to write access logs for you: "
    "logs:CreateLogDelivery, logs:ListLogDeliveries, logs:DescribeResourcePolicies, logs:PutResourcePolicy.",
)
_NO_FUNCTION = TransientError("BadRequestException", "unction", "the function is still being made")


def find_apis(aws: Aws, names: Names) -> list[dict[str, Any]]:
    """The APIs with our name or with our tags, whosever they are, the oldest first."""
    apis = aws.items("apigatewayv2", "get_apis", "Items")
    found = [api for api in apis if api.get("Name") == names.api or names.owns(api.get("Tags", {}))]
    return sorted(found, key=lambda api: (str(api.get("CreatedDate", "")), api["ApiId"]))


def api_id(aws: Aws, names: Names) -> str | None:
    """The id of our API, looked up once a run; None while there is none."""

    def look() -> str | None:
        return next((api["ApiId"] for api in find_apis(aws, names) if _is_ours(api, names)), None)

    return aws.known.get("api", look)


def _is_ours(api: Mapping[str, Any], names: Names) -> bool:
    return api.get("Name") == names.api and names.owns(api.get("Tags", {}))


def _stray(api: Mapping[str, Any], names: Names) -> str:
    return (
        f"API {api.get('Name', '')} ({api['ApiId']}) carries this pipeline's tags under another name: "
        f"remove it, or name it {names.api}"
    )


class ApiResource(Resource):
    """The API itself with its CORS rules. Never created blindly twice; a second one of ours is removed."""

    name = "api"
    title = "the HTTP API"
    needs = ("settings",)

    def observe(self, aws: Aws, names: Names) -> Observed:
        found: list[dict[str, Any]] = []
        ours: list[dict[str, Any]] = []

        def look() -> str | None:
            found.extend(find_apis(aws, names))
            ours.extend(api for api in found if _is_ours(api, names))
            return ours[0]["ApiId"] if ours else None

        # What lives inside the API asks for its id at the same time: one look answers all.
        aws.known.learn("api", look)
        orphans = tuple(_stray(api, names) for api in found if api.get("Name") != names.api)
        if not ours:
            # A foreign API of the same name hinders nobody: names are not unique.
            untagged = any(not api.get("Tags") for api in found)
            return Observed(exists=False, tags={} if untagged else None, orphans=orphans)
        first, *doubles = ours
        facts = {
            "id": first["ApiId"],
            "endpoint": first.get("ApiEndpoint", ""),
            "cors": first.get("CorsConfiguration"),
            "description": first.get("Description"),
            "closed": first.get("DisableExecuteApiEndpoint", False),
            "doubles": [api["ApiId"] for api in doubles],
        }
        return Observed(exists=True, facts=facts, orphans=orphans)

    def diff(self, context: Context) -> Iterator[Change]:
        seen, names = context.seen, context.names
        if not seen.exists:
            params = {
                "Name": names.api,
                "ProtocolType": "HTTP",
                "Description": _DESCRIPTION,
                "CorsConfiguration": _CORS,
                "Tags": names.tags,
            }
            yield Change("create", f"API {names.api}", _create("create_api", **params))
            return
        for double in seen.facts["doubles"]:
            yield Change("delete", f"second API {double}", _call("delete_api", ApiId=double))
        if not _same_cors(seen.facts["cors"]):
            params = {"ApiId": seen.facts["id"], "CorsConfiguration": _CORS}
            yield Change("update", f"CORS of API {names.api}", _call("update_api", **params))
        if seen.facts["description"] != _DESCRIPTION:
            call = _call("update_api", ApiId=seen.facts["id"], Description=_DESCRIPTION)
            yield Change("update", f"description of API {names.api}", call)
        if seen.facts["closed"]:
            call = _call("update_api", ApiId=seen.facts["id"], DisableExecuteApiEndpoint=False)
            yield Change("open", f"endpoint of API {names.api}", call)

    def removals(self, context: Context) -> Iterator[Change]:
        for found in (*context.seen.facts["doubles"], context.seen.facts["id"]):
            yield Change("delete", f"API {context.names.api} ({found})", _call("delete_api", ApiId=found))


class Routing(Resource):
    """One integration for each function and one route for each entry of ROUTES."""

    name = "api.routes"
    title = "the routes of the HTTP API"
    # An integration only names its function, which can still be in the making.
    needs = ("api",)
    parent = "api"
    parallel = True

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = api_id(aws, names)
        if found is None:
            return Observed(exists=False, facts={"id": NEW_API, "integrations": [], "routes": []})
        items = aws.together(
            {
                what: partial(
                    aws.items, "apigatewayv2", f"get_{what}", "Items", missing=_NOT_THERE, ApiId=found
                )
                for what in ("integrations", "routes")
            }
        )
        return Observed(exists=bool(items["integrations"] or items["routes"]), facts={"id": found, **items})

    def diff(self, context: Context) -> Iterator[Change]:
        seen, names = context.seen, context.names
        found = seen.facts["id"]
        targets: dict[str, str] = {}
        for function in dict.fromkeys(ROUTES.values()):
            wanted = _integration(function, names)
            same = [
                i for i in seen.facts["integrations"] if i.get("IntegrationUri") == wanted["IntegrationUri"]
            ]
            if not same:
                params = {"ApiId": found, **wanted}
                passing = (*_INSIDE, _NO_FUNCTION)
                call = Call("apigatewayv2", "create_integration", params, passing, once=True)
                yield Change("create", f"integration with function {names.function(function)}", call)
                targets[function] = Computed(f"new integration with {names.function(function)}")
                continue
            first, *doubles = sorted(same, key=lambda i: str(i["IntegrationId"]))
            targets[function] = f"integrations/{first['IntegrationId']}"
            yield from self._repairs(found, first, wanted, names.function(function))
            yield from self._without(found, doubles, seen.facts["routes"])
        functions = {names.function_arn(function) for function in FUNCTIONS}
        yield from self._routes(found, targets, seen, functions)

    def _repairs(
        self, api: str, found: Mapping[str, Any], wanted: Mapping[str, Any], function: str
    ) -> Iterator[Change]:
        altered = _undone(found)
        if altered or any(found.get(key) != value for key, value in wanted.items()):
            params = {"ApiId": api, "IntegrationId": found["IntegrationId"], **wanted, **altered}
            what = f"integration with function {function}"
            yield Change("update", what, _call("update_integration", **params))

    def _without(
        self, api: str, doubles: list[dict[str, Any]], routes: list[dict[str, Any]]
    ) -> Iterator[Change]:
        """An answer that got lost may leave a second integration; it goes once no route uses it."""
        used = {route.get("Target") for route in routes}
        for double in doubles:
            if f"integrations/{double['IntegrationId']}" not in used:
                params = {"ApiId": api, "IntegrationId": double["IntegrationId"]}
                what = f"second integration {double['IntegrationId']}"
                yield Change("delete", what, _call("delete_integration", **params))

    def _routes(
        self, api: str, targets: Mapping[str, str], seen: Observed, functions: set[str]
    ) -> Iterator[Change]:
        # Others may lead routes of theirs to integrations of theirs.
        ours = {
            f"integrations/{one['IntegrationId']}"
            for one in seen.facts["integrations"]
            if one.get("IntegrationUri") in functions
        }
        kept: set[str] = set()
        for route in seen.facts["routes"]:
            key = route["RouteKey"]
            where = {"ApiId": api, "RouteId": route["RouteId"]}
            if key in ROUTES and key not in kept:
                kept.add(key)
                open_to_all = _opened(route)
                if open_to_all or route.get("Target") != targets[ROUTES[key]]:
                    params = {**where, "Target": targets[ROUTES[key]], **open_to_all}
                    yield Change("update", f"route {key}", _call("update_route", **params))
            elif route.get("Target") in ours or key in ROUTES:
                yield Change("delete", f"outdated route {key}", _call("delete_route", **where))
        for key, function in ROUTES.items():
            if key not in kept:
                call = _create("create_route", ApiId=api, RouteKey=key, Target=targets[function])
                yield Change("create", f"route {key}", call)


class Stage(Resource):
    """The stage `prod`: deploys by itself, throttled, with access logs."""

    name = "api.stage"
    title = "the stage of the HTTP API"
    needs = ("api", "logs.api")
    parent = "api"

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = api_id(aws, names)
        stage = found and aws.find(
            "apigatewayv2", "get_stage", missing=_NOT_THERE, ApiId=found, StageName=STAGE
        )
        if not stage:
            return Observed(exists=False, facts={"id": found or NEW_API})
        return Observed(exists=True, facts={"id": found, "stage": stage})

    def diff(self, context: Context) -> Iterator[Change]:
        seen = context.seen
        logs = {
            "DestinationArn": context.names.log_group_arn(context.names.access_log_group),
            "Format": _ACCESS_LOG,
        }
        wanted = {"AutoDeploy": True, "DefaultRouteSettings": _THROTTLE, "AccessLogSettings": logs}
        params = {"ApiId": seen.facts["id"], "StageName": STAGE, **wanted}
        passing = (*_INSIDE, _LOGGING)
        if not seen.exists:
            yield Change("create", f"stage {STAGE}", Call("apigatewayv2", "create_stage", params, passing))
        elif (routes := _throttled(seen.facts["stage"])) or not _covers(seen.facts["stage"], wanted):
            call = Call("apigatewayv2", "update_stage", {**params, **routes}, passing)
            yield Change("update", f"stage {STAGE}", call)


def _throttled(stage: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of single routes with our limits where one of our routes has others; else none.

    A route's own limits take the place of the stage's.
    """
    found: Mapping[str, Any] = stage.get("RouteSettings") or {}
    ours = {key: one for key, one in found.items() if key in ROUTES and not _covers(one, _THROTTLE)}
    mended = {key: {**one, **_THROTTLE} for key, one in ours.items()}
    return {"RouteSettings": {**found, **mended}} if mended else {}


def _call(operation: str, **params: Any) -> Call:
    return Call("apigatewayv2", operation, params, _INSIDE)


def _create(operation: str, **params: Any) -> Call:
    """Creates of API Gateway have no idempotency token: sent once, then looked for."""
    return Call("apigatewayv2", operation, params, _INSIDE, once=True)


def _integration(function: str, names: Names) -> dict[str, Any]:
    return {
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": names.function_arn(function),
        "PayloadFormatVersion": "2.0",
        "TimeoutInMillis": 29000,
    }


def _undone(found: Mapping[str, Any]) -> dict[str, Any]:
    """What takes from an integration what would change requests, answers or rights; nothing where it is so.

    A mapping goes with an empty value of its key. [Terraform: apigatewayv2/integration.go]
    """
    undone: dict[str, Any] = {}
    for key, empty in (("RequestParameters", ""), ("ResponseParameters", {})):
        if given := [name for name, value in (found.get(key) or {}).items() if value]:
            undone[key] = dict.fromkeys(given, empty)
    if found.get("CredentialsArn"):
        undone["CredentialsArn"] = ""
    if found.get("ConnectionType", "INTERNET") != "INTERNET":
        undone["ConnectionType"] = "INTERNET"
    return undone


def _opened(route: Mapping[str, Any]) -> dict[str, Any]:
    """What opens a route that asks for more than our functions do; nothing where it does not."""
    closed: dict[str, Any] = {}
    if route.get("AuthorizationType", "NONE") != "NONE":
        closed["AuthorizationType"] = "NONE"
    if route.get("ApiKeyRequired"):
        closed["ApiKeyRequired"] = False
    return closed


def _same_cors(found: Mapping[str, Any] | None) -> bool:
    """Header names and methods are compared without their case and order."""

    def plain(value: Any) -> Any:
        return sorted(str(item).lower() for item in value) if isinstance(value, list) else value

    return bool(found) and all(plain((found or {}).get(key)) == plain(value) for key, value in _CORS.items())


def _covers(found: Any, wanted: Any) -> bool:
    """True if everything wanted is in what was found; more may be."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _covers(found.get(key), value) for key, value in wanted.items()
        )
    return bool(found == wanted)
