"""What each function may do to the results: exactly what its code uses, in the store that is used."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import get_session

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

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
# Who has which table in hand: module -> (functions that use it, table).
TABLES = {
    "shared/table_results.py": (("get_result", "web"), NAMES.table_arn),
    "ingest/table_store.py": (("ingest",), NAMES.table_arn),
    "web/table_list.py": (("web",), NAMES.table_arn),
    "ingest/index_table.py": (("ingest",), NAMES.index_table_arn),
    "ingest/twins.py": (("ingest",), NAMES.index_table_arn),
    "ingest/counting.py": (("ingest",), NAMES.index_table_arn),
    "web/index_reader.py": (("web",), NAMES.index_table_arn),
    "web/usage.py": (("web",), NAMES.index_table_arn),
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


def dynamodb_actions(module: Path) -> set[str]:
    """The actions that the module's calls need. A transaction needs those of its parts, and none itself."""
    model = get_session().get_service_model("dynamodb")
    operations = {xform_name(name): name for name in model.operation_names}
    tree = ast.parse(module.read_text(encoding="utf-8"))
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {function.attr for function in functions if isinstance(function, ast.Attribute)}
    found = {f"dynamodb:{operations[name]}" for name in called & operations.keys()}
    if "dynamodb:TransactWriteItems" in found:
        keys = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
        parts = {key.value for key in keys if isinstance(key, ast.Constant)}
        actions = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
        actions["ConditionCheck"] = "ConditionCheckItem"
        found |= {f"dynamodb:{action}" for part, action in actions.items() if part in parts}
    return found - {"dynamodb:TransactWriteItems"}


def test_every_module_that_asks_dynamodb_is_known() -> None:
    every = {path.relative_to(LAMBDA_SRC).as_posix(): path for path in LAMBDA_SRC.rglob("*.py")}
    assert {name for name, path in every.items() if dynamodb_actions(path)} == set(TABLES)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_the_rights_that_its_code_asks_for_and_no_others(function: str) -> None:
    """Also for what hardly ever happens, so that no right is missed only then."""
    asked = {
        (action, table)
        for module, (functions, table) in TABLES.items()
        if function in functions
        for action in dynamodb_actions(LAMBDA_SRC / module)
    }
    # An index is asked as a resource of its own.
    held = {(action, arn.partition("/index/")[0]) for action, arn in rights(function, SETTINGS)}
    assert asked == held
