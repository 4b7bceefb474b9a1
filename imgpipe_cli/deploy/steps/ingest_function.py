"""The function that analyzes pictures, and what becomes of events that it cannot finish."""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.lambda_configuration import (
    Shape,
    index_variables,
    limit_variables,
    store_variables,
)
from imgpipe_cli.deploy.resources.lambda_function import Function
from imgpipe_cli.deploy.resources.lambda_retries import Retries
from imgpipe_cli.deploy.resources.log_group import LogGroup
from imgpipe_cli.deploy.resources.sqs_queue import FailureQueue
from imgpipe_cli.session.settings import Settings

# Well above the SDK's worst case.
TIMEOUT_S = 240


def _environment(names: Names, settings: Settings, _token_sha256: str) -> Mapping[str, str]:
    return {
        **store_variables(names, settings),
        **index_variables(names),
        **limit_variables(settings),
        "FEATURES": ",".join(settings.features),
    }


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
                environment=_environment,
                capped=True,
            )
        ),
        Retries(),
    ),
)
