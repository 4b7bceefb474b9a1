"""Step 7: the functions behind the HTTP API. get_result may only read; web serves the page."""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.aws.names import FAILED_INDEX, INDEX, UPLOAD_PREFIX, Names
from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.lambda_configuration import (
    FAILED_INDEX_VARIABLE,
    Shape,
    index_variables,
    limit_variables,
    store_variables,
)
from imgpipe_cli.deploy.resources.lambda_function import Function
from imgpipe_cli.deploy.resources.log_group import LogGroup
from imgpipe_cli.session.settings import Settings


def _get_result(names: Names, settings: Settings, token_sha256: str) -> Mapping[str, str]:
    return {
        **store_variables(names, settings),
        "TOKEN_SHA256": token_sha256,
        "PUBLIC_RESULTS": _public(settings),
    }


def _web(names: Names, settings: Settings, token_sha256: str) -> Mapping[str, str]:
    return {
        **store_variables(names, settings),
        **index_variables(names),
        **limit_variables(settings),
        **({"INDEX_NAME": INDEX} if settings.results == "table" else {}),
        **({FAILED_INDEX_VARIABLE: FAILED_INDEX} if settings.failed_index else {}),
        "BUCKET_NAME": names.bucket,
        "UPLOAD_PREFIX": UPLOAD_PREFIX,
        "TOKEN_SHA256": token_sha256,
        "FIRST_DAY": settings.first_day,
        "MIN_CONFIDENCE": f"{settings.min_confidence:g}",
        "PUBLIC_RESULTS": _public(settings),
    }


def _public(settings: Settings) -> str:
    """Whether everyone who knows a picture's key may read its result; only "true" means so."""
    return "false" if settings.private else "true"


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
                environment=_get_result,
                needs_token=True,
            )
        ),
        Function(
            Shape(
                "web",
                "the function web, which serves the page,",
                memory=256,
                timeout=20,
                environment=_web,
                needs_token=True,
            )
        ),
    ),
)
