"""The HTTP API in front of the result functions.

An API's name is not unique and its id is random, so it is found again by name and tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import ANY_LOGS, API_LIST, API_TAGS, APIS, GATEWAY_ROLE
from imgpipe_cli.aws.iam.uses import LOOK, UP, UP_AND_DOWN, Op, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Call, Change, Computed, Context, Observed, Resource, TransientError

_CORS = {
    "AllowOrigins": ["*"],  # no cookies: what needs protection needs the token
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["authorization", "content-type"],
    "ExposeHeaders": ["etag", "x-amz-version-id"],
    "MaxAge": 3600,
}
_DESCRIPTION = "Results of an imgpipe pipeline"
NEW_API = Computed("new api")
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
INSIDE = (*_BUSY, _NO_API, _NO_INTEGRATION)
_TAGGED_API = (
    "AWS refused new APIs with tags without apigateway:POST on their tags (reports since 2021). Whether it "
    "needs apigateway:TagResource too, as stages do, is not known. Nor is whether the role that API Gateway "
    "makes with an account's first API needs iam:CreateServiceLinkedRole, as its guide says"
)
_REMOVED_LOGS = "that removing a stage takes its log delivery away with the caller's rights is a guess"


def find_apis(aws: Aws, names: Names) -> list[dict[str, Any]]:
    """The APIs with our name or with our tags, whosever they are, the oldest first."""
    apis = aws.items("apigatewayv2", "get_apis", "Items")
    found = [api for api in apis if api.get("Name") == names.api or names.owns(api.get("Tags", {}))]
    return sorted(found, key=lambda api: (str(api.get("CreatedDate", "")), api["ApiId"]))


def api_id(aws: Aws, names: Names) -> str | None:
    """The id of our API, looked up once a run; None while there is none."""

    def look() -> str | None:
        return next((api["ApiId"] for api in find_apis(aws, names) if _is_owned(api, names)), None)

    return aws.known.get("api", look)


def _is_owned(api: Mapping[str, Any], names: Names) -> bool:
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
    iam = (
        *uses(LOOK, API_LIST, "apigatewayv2.get_apis"),
        *uses(
            UP,
            APIS,
            Op(
                "apigatewayv2.create_api",
                also=(
                    "apigateway:TagResource",
                    (API_TAGS, "apigateway:POST"),
                    (GATEWAY_ROLE, "iam:CreateServiceLinkedRole"),
                ),
                unverified=_TAGGED_API,
            ),
        ),
        *uses(UP, APIS, "apigatewayv2.update_api"),
        *uses(
            UP_AND_DOWN,
            APIS,
            Op(
                "apigatewayv2.delete_api",
                also=((ANY_LOGS, "logs:DeleteLogDelivery"),),
                unverified=_REMOVED_LOGS,
            ),
        ),
    )
    needs = ("settings",)

    def observe(self, aws: Aws, names: Names) -> Observed:
        found: list[dict[str, Any]] = []
        owned: list[dict[str, Any]] = []

        def look() -> str | None:
            found.extend(find_apis(aws, names))
            owned.extend(api for api in found if _is_owned(api, names))
            return owned[0]["ApiId"] if owned else None

        # What lives inside the API asks for its id at the same time: one look answers all.
        aws.known.learn("api", look)
        orphans = tuple(_stray(api, names) for api in found if api.get("Name") != names.api)
        if not owned:
            # A foreign API of the same name hinders nobody: names are not unique.
            untagged = any(not api.get("Tags") for api in found)
            return Observed(exists=False, tags={} if untagged else None, orphans=orphans)
        return _observed(*owned, orphans=orphans)

    def answered(
        self, aws: Aws, context: Context, change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        if change.verb != "create":
            return None
        aws.known.tell("api", str(answer["ApiId"]))
        return _observed(answer, orphans=context.observed.orphans)

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        if not observed.exists:
            params = {
                "Name": names.api,
                "ProtocolType": "HTTP",
                "Description": _DESCRIPTION,
                "CorsConfiguration": _CORS,
                "Tags": names.tags,
            }
            yield Change("create", f"API {names.api}", gateway_create("create_api", **params))
            return
        for double in observed.facts["doubles"]:
            yield Change("delete", f"second API {double}", gateway_call("delete_api", ApiId=double))
        if not _same_cors(observed.facts["cors"]):
            params = {"ApiId": observed.facts["id"], "CorsConfiguration": _CORS}
            yield Change("update", f"CORS of API {names.api}", gateway_call("update_api", **params))
        if observed.facts["description"] != _DESCRIPTION:
            call = gateway_call("update_api", ApiId=observed.facts["id"], Description=_DESCRIPTION)
            yield Change("update", f"description of API {names.api}", call)
        if observed.facts["closed"]:
            call = gateway_call("update_api", ApiId=observed.facts["id"], DisableExecuteApiEndpoint=False)
            yield Change("open", f"endpoint of API {names.api}", call)

    def removals(self, context: Context) -> Iterator[Change]:
        for found in (*context.observed.facts["doubles"], context.observed.facts["id"]):
            yield Change(
                "delete", f"API {context.names.api} ({found})", gateway_call("delete_api", ApiId=found)
            )


def _observed(api: Mapping[str, Any], *doubles: Mapping[str, Any], orphans: Sequence[str]) -> Observed:
    """Our API as API Gateway describes it, and the younger ones of ours beside it."""
    facts = {
        "id": api["ApiId"],
        "endpoint": api.get("ApiEndpoint", ""),
        "cors": api.get("CorsConfiguration"),
        "description": api.get("Description"),
        "closed": api.get("DisableExecuteApiEndpoint", False),
        "doubles": [double["ApiId"] for double in doubles],
    }
    return Observed(exists=True, facts=facts, orphans=tuple(orphans))


def gateway_call(operation: str, **params: Any) -> Call:
    return Call("apigatewayv2", operation, params, INSIDE)


def gateway_create(operation: str, **params: Any) -> Call:
    """Creates of API Gateway have no idempotency token: sent once, then looked for."""
    return Call("apigatewayv2", operation, params, INSIDE, once=True)


def _same_cors(found: Mapping[str, Any] | None) -> bool:
    """Header names and methods are compared without their case and order."""

    def plain(value: Any) -> Any:
        return sorted(str(item).lower() for item in value) if isinstance(value, list) else value

    return bool(found) and all(plain((found or {}).get(key)) == plain(value) for key, value in _CORS.items())
