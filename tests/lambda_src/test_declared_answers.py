"""What the functions answer when their stores fail is what the API's description declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from get_result import app as get_result_app
from tests.support.function_cloud import error
from web import app as web_app

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

DESCRIPTION = yaml.safe_load((Path(web_app.__file__).parents[1] / "openapi.yaml").read_text(encoding="utf-8"))
ROUTES = [(method, path) for path, methods in DESCRIPTION["paths"].items() for method in methods]
BODY = json.dumps({"keys": ["a.jpg"], "key": "a.jpg", "sizeBytes": 1, "contentType": "image/jpeg"})


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [
        (400, "ProvisionedThroughputExceededException", (503, "busy")),
        (503, "SlowDown", (503, "busy")),
        (400, "ResourceNotFoundException", (500, "internal")),
        (403, "AccessDenied", (500, "internal")),
    ],
)
def test_a_failing_store_gives_a_declared_answer(
    call: Call, cloud: Cloud, method: str, path: str, status: int, code: str, answered: tuple[int, str]
) -> None:
    def failing(**_context: Any) -> Any:
        return error(status, code)

    for client in (cloud.results_client, cloud.s3):
        client.meta.events.register_first("before-call", failing, unique_id="failing")
    settings = {**cloud.environment, "PUBLIC_RESULTS": "true"}
    config = get_result_app.Config.from_environment(settings)
    needs = get_result_app.Needs(config=config, results=cloud.results)
    app, deps = (get_result_app, needs) if path == "/result" else (web_app, cloud.web())
    answer = call(
        app.serve, deps, f"{method.upper()} {path}", {"key": "a.jpg"}, body=BODY, path={"file": "app.js"}
    )
    responses = DESCRIPTION["paths"][path][method]["responses"]
    assert str(answer.status) in responses
    if path in ("/result", "/results", "/image"):
        assert (answer.status, answer.code) == answered
        # A client that may come back later is told when.
        assert ("Retry-After" in answer.headers) == (answer.status == 503)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_the_gateway_says_by_itself_is_declared(method: str, path: str) -> None:
    assert {"413", "429", "431", "500", "503"} <= DESCRIPTION["paths"][path][method]["responses"].keys()
