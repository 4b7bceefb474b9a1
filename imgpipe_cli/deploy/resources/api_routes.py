"""The routes of the HTTP API, and the integrations by which they reach the functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import APIS
from imgpipe_cli.aws.iam.uses import LOOK, UP, uses
from imgpipe_cli.aws.names import FUNCTIONS, Names
from imgpipe_cli.deploy.resource import Call, Change, Computed, Context, Observed, Resource, TransientError
from imgpipe_cli.deploy.resources.api_gateway import INSIDE, NEW_API, api_id, gateway_call, gateway_create

# Route -> the function that answers it.
ROUTES: Mapping[str, str] = {
    "GET /result": "get_result",
    "GET /results": "web",
    "POST /results": "web",
    "GET /labels": "web",
    "POST /uploads": "web",
    "GET /image": "web",
    "GET /usage": "web",
    "GET /": "web",
    "GET /assets/{file}": "web",
}
_NO_FUNCTION = TransientError("BadRequestException", "unction", "the function is still being made")


class Routing(Resource):
    """One integration for each function and one route for each entry of ROUTES."""

    name = "api.routes"
    title = "the routes of the HTTP API"
    iam = (
        *uses(LOOK, APIS, "apigatewayv2.get_integrations", "apigatewayv2.get_routes"),
        *uses(UP, APIS, "apigatewayv2.create_integration", "apigatewayv2.update_integration"),
        *uses(UP, APIS, "apigatewayv2.delete_integration", "apigatewayv2.create_route"),
        *uses(UP, APIS, "apigatewayv2.update_route", "apigatewayv2.delete_route"),
    )
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
                what: partial(aws.items, "apigatewayv2", f"get_{what}", "Items", ApiId=found)
                for what in ("integrations", "routes")
            }
        )
        return Observed(exists=bool(items["integrations"] or items["routes"]), facts={"id": found, **items})

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        found = observed.facts["id"]
        targets: dict[str, str] = {}
        for function in dict.fromkeys(ROUTES.values()):
            wanted = _integration(function, names)
            same = [
                i
                for i in observed.facts["integrations"]
                if i.get("IntegrationUri") == wanted["IntegrationUri"]
            ]
            if not same:
                params = {"ApiId": found, **wanted}
                transient = (*INSIDE, _NO_FUNCTION)
                call = Call("apigatewayv2", "create_integration", params, transient, once=True)
                yield Change("create", f"integration with function {names.function(function)}", call)
                targets[function] = Computed(f"new integration with {names.function(function)}")
                continue
            first, *doubles = sorted(same, key=lambda i: str(i["IntegrationId"]))
            targets[function] = f"integrations/{first['IntegrationId']}"
            yield from self._repairs(found, first, wanted, names.function(function))
            yield from self._without(found, doubles, observed.facts["routes"])
        functions = {names.function_arn(function) for function in FUNCTIONS}
        yield from self._routes(found, targets, observed, functions)

    def answered(
        self, _aws: Aws, context: Context, change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        made = {"apigatewayv2.create_integration": "integrations", "apigatewayv2.create_route": "routes"}
        kind, facts = made.get(change.call.label), context.observed.facts
        if kind is None:
            return None
        return replace(context.observed, exists=True, facts={**facts, kind: [*facts[kind], answer]})

    def _repairs(
        self, api: str, found: Mapping[str, Any], wanted: Mapping[str, Any], function: str
    ) -> Iterator[Change]:
        altered = _undone(found)
        if altered or any(found.get(key) != value for key, value in wanted.items()):
            params = {"ApiId": api, "IntegrationId": found["IntegrationId"], **wanted, **altered}
            what = f"integration with function {function}"
            yield Change("update", what, gateway_call("update_integration", **params))

    def _without(
        self, api: str, doubles: list[dict[str, Any]], routes: list[dict[str, Any]]
    ) -> Iterator[Change]:
        """An answer that got lost may leave a second integration; it goes once no route uses it."""
        used = {route.get("Target") for route in routes}
        for double in doubles:
            if f"integrations/{double['IntegrationId']}" not in used:
                params = {"ApiId": api, "IntegrationId": double["IntegrationId"]}
                what = f"second integration {double['IntegrationId']}"
                yield Change("delete", what, gateway_call("delete_integration", **params))

    def _routes(
        self, api: str, targets: Mapping[str, str], observed: Observed, functions: set[str]
    ) -> Iterator[Change]:
        # Others may lead routes of theirs to integrations of theirs.
        owned = {
            f"integrations/{one['IntegrationId']}"
            for one in observed.facts["integrations"]
            if one.get("IntegrationUri") in functions
        }
        kept: set[str] = set()
        for route in observed.facts["routes"]:
            key = route["RouteKey"]
            where = {"ApiId": api, "RouteId": route["RouteId"]}
            if key in ROUTES and key not in kept:
                kept.add(key)
                open_to_all = _opened(route)
                if open_to_all or route.get("Target") != targets[ROUTES[key]]:
                    params = {**where, "Target": targets[ROUTES[key]], **open_to_all}
                    yield Change("update", f"route {key}", gateway_call("update_route", **params))
            elif route.get("Target") in owned or key in ROUTES:
                yield Change("delete", f"outdated route {key}", gateway_call("delete_route", **where))
        for key, function in ROUTES.items():
            if key not in kept:
                call = gateway_create("create_route", ApiId=api, RouteKey=key, Target=targets[function])
                yield Change("create", f"route {key}", call)


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
