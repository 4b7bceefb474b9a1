"""What holds for all functions: what they import, their clients' limits, how they start."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from get_result import app as get_result_app
from imgpipe_cli.deploy.steps.ingest_function import TIMEOUT_S
from ingest import app as ingest_app
from ingest import timeouts
from ingest.analysis import OPERATIONS
from shared import picture
from shared.aws_clients import Timeouts, dynamodb_client
from shared.results import FEATURES
from web import app as web_app
from web import uploads

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

SOURCE = Path(__file__).parents[2] / "lambda_src"
FUNCTIONS = ("ingest", "get_result", "web")
IN_LAMBDA = {"boto3", "botocore", *sys.stdlib_module_names}


def imports(tree: ast.AST, *, typing_only: bool = False) -> Iterator[tuple[str, bool]]:
    """The top names that a file imports, "." for its own folder, and whether only for type checking."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "no further than to a neighbor"
            if not node.level:
                yield str(node.module).partition(".")[0], typing_only
        checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        yield from imports(node, typing_only=typing_only or checking)


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda f: str(f.relative_to(SOURCE)))
def test_only_what_lambda_has_is_imported(file: Path) -> None:
    """The local cloud runs the functions with the CLI's whole environment; AWS does not."""
    own = file.relative_to(SOURCE).parts[0]
    for name, typing_only in imports(ast.parse(file.read_text(encoding="utf-8"))):
        if not (typing_only and name.startswith("mypy_boto3_")):
            assert name in IN_LAMBDA or name in (own, "shared", "."), f"{file.name} imports {name}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_starts_from_its_zip_alone(function: str, tmp_path: Path) -> None:
    """Its own folder and `shared`, no more, and no setting needed before the first event."""
    for part in (function, "shared"):
        (tmp_path / part).symlink_to(SOURCE / part)
    code = f"import {function}.app as app; assert callable(app.handler)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_feature_has_its_operation() -> None:
    assert tuple(OPERATIONS) == FEATURES


def test_the_limits_agree_in_both_places() -> None:
    assert picture.MAX_BYTES == uploads.MAX_BYTES == 15_728_640


def test_ingest_ends_well_before_its_timeout() -> None:
    assert timeouts.worst_case_s() == 236
    assert timeouts.worst_case_s() < timeouts.TIMEOUT_S == TIMEOUT_S


def test_the_limits_reach_the_client() -> None:
    config: Any = dynamodb_client(Timeouts(connect_s=1, read_s=2, attempts=3)).meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] == 3


def test_the_pauses_are_botocores() -> None:
    """Should botocore pause longer one day, the arithmetic beside the limits is to be done again."""
    from botocore.retries.standard import ExponentialBackoff

    longest: Any = ExponentialBackoff(random=lambda: 1.0)
    pauses_s = [longest.delay_amount(SimpleNamespace(attempt_number=number)) for number in (1, 2)]
    assert sum(pauses_s) <= Timeouts(connect_s=0, read_s=0).worst_case_s()


@pytest.mark.parametrize("text", ["", " ", "labels,nothing", "Labels"])
def test_unknown_features_stop_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="FEATURES"):
        ingest_app.Config.from_environment({"TABLE_NAME": "t", "INDEX_TABLE": "i", "FEATURES": text})


def made_anew() -> None:
    for module in ("ingest.app", "get_result.app", "web.app"):
        importlib.import_module(module).needs.cache_clear()


@pytest.mark.parametrize("app", [get_result_app, web_app], ids=["get_result", "web"])
@pytest.mark.parametrize(
    "wrong", [{}, {"TABLE_NAME": "a-table", "RESULTS_BUCKET": "a-bucket"}, {"FIRST_DAY": "nonsense"}]
)
def test_wrong_settings_say_nothing_inside(
    monkeypatch: pytest.MonkeyPatch, app: Any, wrong: dict[str, str]
) -> None:
    for name in ("TABLE_NAME", "RESULTS_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    made_anew()
    for route in ("GET /result", "GET /results", "GET /"):
        answer = app.handler({"routeKey": route, "rawQueryString": "key=a"}, None)
        assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (500, "internal")
        assert not [word for word in (*wrong, *wrong.values()) if word in answer["body"]]


def test_the_handlers_run_on_their_environment(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, pictures: Any
) -> None:
    """Through `handler` itself, with clients made as in AWS."""
    settings = {
        **cloud.environment,
        "FEATURES": "labels",
        "INDEX_NAME": "by-time",
        "FAILED_INDEX": "failed",
        "BUCKET_NAME": "imgpipe-uploads-123456789012-eu-west-1-an",
        "UPLOAD_PREFIX": "web/",
        "TOKEN_SHA256": "",
        "FIRST_DAY": "2026-11-01",
        "MIN_CONFIDENCE": "70",
        "PUBLIC_RESULTS": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made_anew()
    assert ingest_app.handler(cloud.put("a.png", pictures.png()), None) == {"records": 1, "overLimit": 0}
    event = {"routeKey": "GET /result", "rawQueryString": "key=a.png"}
    assert get_result_app.handler(event, None)["statusCode"] == 200
    assert web_app.handler({"routeKey": "GET /"}, None)["statusCode"] == 200
    assert web_app.handler({"routeKey": "GET /results"}, None)["statusCode"] == 401
