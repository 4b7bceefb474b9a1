"""The setup steps, in the order in which users read them. A new resource is one entry in one file."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.steps import (
    access_token,
    bucket,
    http_api,
    ingest_function,
    result_functions,
    results_store,
    roles,
    settings,
    trigger,
)

# What the steps call, in the order of first need and of what their clients cost to make.
SERVICES = ("s3", "ssm", "dynamodb", "iam", "lambda", "apigatewayv2", "logs", "sqs")

STEPS: tuple[Step, ...] = (
    settings.STEP,
    bucket.STEP,
    results_store.STEP,
    roles.STEP,
    ingest_function.STEP,
    trigger.STEP,
    access_token.STEP,
    result_functions.STEP,
    http_api.STEP,
)
