"""What API Gateway calls: the routes of the page and of the data behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from shared.aws_clients import dynamodb_client, s3_client
from shared.http_api import Request, Response, Route, require_token, respond
from web.bucket_list import PARALLEL_READS, BucketList
from web.by_key import results_by_key
from web.index_reader import PARALLEL_QUERIES, IndexReader
from web.labels import list_labels
from web.listing import STORE_TIMEOUTS, list_results
from web.needs import Config, Needs
from web.page_files import asset, page
from web.pages import ResultList
from web.pictures import S3_LIMITS, picture_url
from web.table_list import PARALLEL_DAYS, TableList
from web.uploads import new_upload
from web.usage import Counters, current_usage

TIMEOUT_S = 20
"""How long Lambda lets the function run; `web.listing` shows why its slowest route takes less."""


@cache
def needs() -> Needs:
    """Made at the first event and kept for all that this process answers."""
    config = Config.from_environment(os.environ)
    return Needs(
        config=config,
        results=_results(config),
        s3=s3_client(S3_LIMITS),
        counters=Counters(dynamodb=dynamodb_client(STORE_TIMEOUTS), table=config.index_table),
        index=IndexReader(
            dynamodb=dynamodb_client(STORE_TIMEOUTS, connections=PARALLEL_QUERIES), table=config.index_table
        ),
        now=lambda: datetime.now(UTC),
    )


def _results(config: Config) -> ResultList:
    if config.store.kind == "table":
        return TableList(
            dynamodb=dynamodb_client(STORE_TIMEOUTS, connections=PARALLEL_DAYS),
            table=config.store.name,
            index=config.index,
            failed_index=config.failed_index,
            first_day=config.first_day,
        )
    return BucketList(
        s3=s3_client(STORE_TIMEOUTS, connections=PARALLEL_READS),
        bucket=config.store.name,
        failed_index=bool(config.failed_index),
    )


def handler(event: Mapping[str, Any], context: object) -> Response:
    return respond(event, context, lambda: _routes(needs()))


def serve(event: Mapping[str, Any], context: object, deps: Needs) -> Response:
    return respond(event, context, lambda: _routes(deps))


def _routes(deps: Needs) -> dict[str, Route]:
    def with_token(route: Route) -> Route:
        def checked(request: Request) -> Response:
            require_token(request, deps.config.token_sha256)
            return route(request)

        return checked

    return {
        # The page and its files hold no data, so anyone may load them.
        "GET /": lambda _request: page(deps),
        "GET /assets/{file}": asset,
        "GET /results": with_token(lambda request: list_results(request, deps)),
        "GET /labels": with_token(lambda request: list_labels(request, deps)),
        "POST /results": with_token(lambda request: results_by_key(request, deps)),
        "POST /uploads": with_token(lambda request: new_upload(request, deps)),
        "GET /image": with_token(lambda request: picture_url(request, deps)),
        "GET /usage": with_token(lambda request: current_usage(request, deps)),
    }
