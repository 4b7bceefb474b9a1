"""Step 7: the functions behind the HTTP API. get_result may only read; web serves the page."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources import lambda_environment
from imgpipe_cli.deploy.resources.lambda_configuration import Shape
from imgpipe_cli.deploy.resources.lambda_function import Function
from imgpipe_cli.deploy.resources.log_group import LogGroup

STEP = Step(
    "results",
    "Result functions",
    (
        LogGroup(
            "logs.get_result",
            "the log group of the function get_result",
            lambda names: names.log_group("get_result"),
        ),
        LogGroup("logs.web", "the log group of the function web", lambda names: names.log_group("web")),
        Function(
            Shape(
                "get_result",
                "the function get_result, which reads results,",
                memory=256,
                timeout=20,
                environment=lambda_environment.get_result,
                needs_token=True,
            )
        ),
        Function(
            Shape(
                "web",
                "the function web, which serves the page,",
                memory=256,
                timeout=20,
                environment=lambda_environment.web,
                needs_token=True,
            )
        ),
    ),
)
