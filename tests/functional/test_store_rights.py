"""What each function may do to the results: exactly what its code uses, in the store that is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.deploy.resources.iam_role import permissions
from imgpipe_cli.session.settings import Settings
from tests.support.account import IN_S3, NAMES, SETTINGS

RESULTS = f"{NAMES.results_bucket_arn}/results/*"
INDEX, FAILED = (f"{NAMES.results_bucket_arn}/{index}/*" for index in ("index", "fails"))
BUCKET = NAMES.results_bucket_arn
READ = {("s3:GetObject", RESULTS), ("s3:ListBucket", BUCKET)}
BY_TIME = f"{NAMES.table_arn}/index/by-time"

TABLE_RIGHTS = {
    "ingest": {("dynamodb:GetItem", NAMES.table_arn), ("dynamodb:PutItem", NAMES.table_arn)},
    "get_result": {("dynamodb:GetItem", NAMES.table_arn)},
    "web": {
        ("dynamodb:BatchGetItem", NAMES.table_arn),
        ("dynamodb:GetItem", NAMES.table_arn),
        ("dynamodb:Query", BY_TIME),
        ("dynamodb:Query", f"{NAMES.table_arn}/index/failed"),
    },
}
BUCKET_RIGHTS = {
    "ingest": READ
    | {
        ("s3:PutObject", RESULTS),
        ("s3:PutObjectTagging", RESULTS),
        ("s3:PutObject", INDEX),
        ("s3:DeleteObject", INDEX),
        ("s3:PutObject", FAILED),
        ("s3:DeleteObject", FAILED),
    },
    "get_result": READ,
    "web": READ,
}


INDEX_RIGHTS = {
    "ingest": {
        (f"dynamodb:{action}Item", NAMES.index_table_arn)
        for action in ("BatchGet", "BatchWrite", "Delete", "Get", "Put", "Update")
    }
    | {("dynamodb:Query", NAMES.index_table_arn)},
    "get_result": set(),
    "web": {("dynamodb:GetItem", NAMES.index_table_arn), ("dynamodb:Query", NAMES.index_table_arn)},
}


def resources_of(statement: dict[str, Any]) -> list[str]:
    resources = statement["Resource"]
    return [resources] if isinstance(resources, str) else resources


def rights(function: str, settings: Settings) -> set[tuple[str, str]]:
    """(action, resource) for the stores of results, and for their index."""
    return {
        (action, resource)
        for statement in permissions(function, NAMES, settings)["Statement"]
        for action in statement["Action"]
        for resource in resources_of(statement)
        if resource.startswith((NAMES.table_arn, BUCKET, NAMES.index_table_arn))
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_store_has_exactly_its_rights(function: str) -> None:
    assert rights(function, SETTINGS) == TABLE_RIGHTS[function] | INDEX_RIGHTS[function]
    assert rights(function, IN_S3) == BUCKET_RIGHTS[function] | INDEX_RIGHTS[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_both_stores_are_open_only_while_results_move(function: str) -> None:
    both = TABLE_RIGHTS[function] | BUCKET_RIGHTS[function] | INDEX_RIGHTS[function]
    assert rights(function, replace(SETTINGS, move="copy")) == both
    assert rights(function, replace(IN_S3, move="switch")) == both
    assert rights(function, replace(IN_S3, move="close")) == BUCKET_RIGHTS[function] | INDEX_RIGHTS[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_statement_ids_are_unique(function: str) -> None:
    """AWS refuses a policy that says one twice."""
    statements = permissions(function, NAMES, replace(SETTINGS, move="copy"))["Statement"]
    assert len({statement["Sid"] for statement in statements}) == len(statements)
