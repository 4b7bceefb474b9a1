"""A store that is slow, or of which one object cannot be read, behind the routes of results."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
)

from get_result import app as get_result_app
from shared.result_objects import name_of, result_object
from tests.support.function_cloud import error
from tests.support.gateway import TOKEN_SHA256
from tests.support.result_places import RESULTS_BUCKET
from web import app as web_app

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

WHERE = {"endpoint_url": "https://store"}
SLOW = [
    ReadTimeoutError(**WHERE),
    ConnectTimeoutError(**WHERE),
    ConnectionClosedError(**WHERE),
    EndpointConnectionError(**WHERE),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
]
ANSWERS = [(500, "InternalServerError"), (503, "ServiceUnavailable"), (503, "503"), (400, "RequestTimeout")]
ROUTES = ["/result", "/results", "/image"]


def ask(call: Call, cloud: Cloud, route: str) -> Any:
    config = get_result_app.Config.from_environment(
        {**cloud.environment, "TOKEN_SHA256": TOKEN_SHA256, "PUBLIC_RESULTS": "true"}
    )
    needs = get_result_app.Needs(config=config, results=cloud.results)
    app, deps = (get_result_app, needs) if route == "/result" else (web_app, cloud.web())
    return call(app.serve, deps, f"GET {route}", {"key": "a.jpg"})


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("trouble", [*SLOW, *ANSWERS], ids=lambda one: str(getattr(one, "fmt", one)))
def test_a_slow_store_is_busy_and_never_an_error(
    call: Call, cloud: Cloud, pictures: SimpleNamespace, route: str, trouble: Any
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))

    def late(**_context: Any) -> Any:
        if isinstance(trouble, Exception):
            raise trouble
        return error(*trouble)

    cloud.results_client.meta.events.register_first("before-call", late)
    answer = ask(call, cloud, route)
    assert (answer.status, answer.code) == (503, "busy")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("store_kind", ["bucket"])
@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (403, "InvalidObjectState"), (400, "400")]
)
def test_a_result_that_cannot_be_read_hides_none_of_the_others(
    call: Call, cloud: Cloud, status: int, code: str
) -> None:
    for number in range(5):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z", bucket="b", features=[])
    bad = result_object(name_of("2.jpg"))

    def refuse(params: dict[str, Any], **_context: Any) -> Any:
        return error(status, code) if params["url_path"].endswith(bad) else None

    cloud.results_client.meta.events.register_first("before-call.s3.GetObject", refuse)
    answer = ask(call, cloud, "/results")
    assert [one["objectKey"] for one in answer.json["items"]] == ["4.jpg", "3.jpg", "1.jpg", "0.jpg"]
    assert answer.json["next"] is None


@pytest.mark.parametrize("store_kind", ["bucket"])
def test_a_result_that_is_no_result_hides_none_of_the_others(call: Call, cloud: Cloud) -> None:
    for number in range(3):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z", bucket="b", features=[])
    cloud.results_s3.put_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of("1.jpg")), Body=b"{cut")
    assert [one["objectKey"] for one in ask(call, cloud, "/results").json["items"]] == ["2.jpg", "0.jpg"]


@pytest.mark.parametrize("store_kind", ["bucket"])
def test_a_result_that_is_late_is_on_the_next_page(call: Call, cloud: Cloud) -> None:
    for number in range(5):
        cloud.store(f"{number}.jpg", f"2026-11-22T10:00:0{number}.000Z", bucket="b", features=[])
    slow = result_object(name_of("2.jpg"))
    busy = True

    def late(params: dict[str, Any], **_context: Any) -> Any:
        return error(503, "SlowDown") if busy and params["url_path"].endswith(slow) else None

    cloud.results_client.meta.events.register_first("before-call.s3.GetObject", late)
    first = ask(call, cloud, "/results").json
    assert [one["objectKey"] for one in first["items"]] == ["4.jpg", "3.jpg"]
    busy = False
    rest = call(web_app.serve, cloud.web(), "GET /results", {"after": first["next"]}).json
    assert [one["objectKey"] for one in rest["items"]] == ["2.jpg", "1.jpg", "0.jpg"]
