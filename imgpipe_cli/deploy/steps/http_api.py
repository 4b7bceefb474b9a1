"""The HTTP API: its log group, its routes and stage, and its permissions to call the functions."""

from __future__ import annotations

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.names import STAGE, Names
from imgpipe_cli.deploy.resource import Computed, Step
from imgpipe_cli.deploy.resources.api_gateway import NEW_API, ApiResource, api_id
from imgpipe_cli.deploy.resources.api_routes import Routing
from imgpipe_cli.deploy.resources.api_stage import Stage
from imgpipe_cli.deploy.resources.lambda_permission import Permission
from imgpipe_cli.deploy.resources.log_group import LogGroup


def _api_permission(function: str, route: str) -> Permission:
    """For our stage only: another one would serve the same routes without throttle and logs."""

    def source_arn(aws: Aws, names: Names) -> str:
        found = api_id(aws, names)
        arn = names.api_route_arn(found or NEW_API, route)
        return arn if found else Computed(arn)

    return Permission(
        f"permission.api.{function}",
        f"the API's permission to call the function {function}",
        function,
        service="apigateway.amazonaws.com",
        source_arn=source_arn,
        needs=("api",),
    )


STEP = Step(
    "api",
    "HTTP API",
    (
        LogGroup("logs.api", "the log group of the HTTP API", lambda names: names.access_log_group),
        ApiResource(),
        Routing(),
        Stage(),
        _api_permission("get_result", f"{STAGE}/GET/result"),
        _api_permission("web", f"{STAGE}/*"),
    ),
)
