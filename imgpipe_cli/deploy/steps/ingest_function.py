"""The function that analyzes pictures, and what becomes of events that it cannot finish."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources import lambda_environment
from imgpipe_cli.deploy.resources.lambda_configuration import Shape
from imgpipe_cli.deploy.resources.lambda_function import Function
from imgpipe_cli.deploy.resources.lambda_retries import Retries
from imgpipe_cli.deploy.resources.log_group import LogGroup
from imgpipe_cli.deploy.resources.sqs_queue import FailureQueue

# Well above the SDK's worst case.
TIMEOUT_S = 240


STEP = Step(
    "ingest",
    "Ingest function",
    (
        LogGroup(
            "logs.ingest", "the log group of the ingest function", lambda names: names.log_group("ingest")
        ),
        FailureQueue(),
        # 512 MB buys the CPU for a quick start.
        Function(
            Shape(
                "ingest",
                "the ingest function",
                memory=512,
                timeout=TIMEOUT_S,
                environment=lambda_environment.ingest,
                capped=True,
            )
        ),
        Retries(),
    ),
)
