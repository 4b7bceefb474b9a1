from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from get_result import app
from tests.support.gateway import TOKEN, TOKEN_SHA256

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

DIGEST = "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a"


def needs(cloud: Cloud, token_sha256: str = "") -> app.Needs:
    settings = {"TOKEN_SHA256": token_sha256, "PUBLIC_RESULTS": "false" if token_sha256 else "true"}
    config = app.Config.from_environment({**cloud.environment, **settings})
    return app.Needs(config=config, results=cloud.results)


def get(call: Call, cloud: Cloud, query: Any, **more: Any) -> Any:
    return call(app.serve, needs(cloud), "GET /result", query, token=None, **more)


@pytest.mark.parametrize("key", ["a b+c.jpg", "a,b.jpg", "100%.jpg", "%2B", "é/日本.png", "a&key=b", "a=b;c"])
def test_any_key_finds_its_result(call: Call, cloud: Cloud, pictures: SimpleNamespace, key: str) -> None:
    cloud.ingest(cloud.put(key, pictures.jpeg()))
    answer = get(call, cloud, {"key": key})
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["objectKey"] == key
    assert answer.json["labels"][0]["Confidence"] == 98.76543426513672
    assert '"width":640' in answer.body


def test_a_plus_in_the_query_is_a_space(call: Call, cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("red flower+1.jpg", pictures.jpeg()))
    assert get(call, cloud, "key=red+flower%2B1.jpg").status == 200
    assert get(call, cloud, "key=red%20flower%2B1.jpg").status == 200
    assert get(call, cloud, "key=red+flower+1.jpg").status == 404


def with_token(call: Call, cloud: Cloud, query: Any, token: str | None = f"Bearer {TOKEN}") -> Any:
    """Of a public pipeline."""
    config = app.Config.from_environment(
        {**cloud.environment, "TOKEN_SHA256": TOKEN_SHA256, "PUBLIC_RESULTS": "true"}
    )
    return call(app.serve, app.Needs(config=config, results=cloud.results), "GET /result", query, token=token)


def test_internal_attributes_stay_inside(call: Call, cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    shown = with_token(call, cloud, {"key": "a.jpg"}).json
    assert {"day", "expiresAt"}.isdisjoint(shown)
    assert {"objectKey", "bucket", "status", "analyzedAt", "versionId", "eTag", "sequencer"} <= shown.keys()


EVERYTHING = ("labels", "moderation", "faces", "text", "properties")


@pytest.mark.parametrize("token", [None, "", "Bearer wrong", TOKEN, f"Basic {TOKEN}"])
def test_a_public_answer_holds_nothing_about_people_and_no_words(
    call: Call, cloud: Cloud, token: str | None
) -> None:
    found = {feature: [{"Name": "A", "Confidence": 90}] for feature in EVERYTHING[:-1]}
    cloud.store(
        "a.jpg",
        "2026-11-22T10:00:00.000Z",
        features=list(EVERYTHING),
        properties={"Quality": {"Sharpness": 90}},
        trimmed={"labels": 3, "text": 7},
        bucket="b",
        eTag="e",
        versionId="v",
        secret="of a version to come",
        **found,
    )
    for query in ({"key": "a.jpg"}, {"key": "a.jpg", "min_confidence": "50"}):
        shown = with_token(call, cloud, query, token).json
        assert {"faces", "text", "versionId", "eTag", "sequencer", "secret"}.isdisjoint(shown)
        assert {"labels", "moderation", "properties", "bucket", "objectKey", "status"} <= shown.keys()
        # What was asked for is told, so that a reader sees what is left out.
        assert shown["features"] == list(EVERYTHING)
        assert shown["trimmed"] == {"labels": 3}
        whole = with_token(call, cloud, query).json
        assert {"faces", "text", "eTag", "sequencer", "secret", "trimmed"} <= whole.keys()


def test_a_public_answer_about_a_failure_says_why(call: Call, cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", b"GIF89a"))
    shown = get(call, cloud, {"key": "a.jpg"}).json
    assert shown["error"]["code"] == "unsupported_format"
    assert {"versionId", "eTag", "sequencer"}.isdisjoint(shown)


def test_without_a_fingerprint_no_token_opens_more(
    call: Call, cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    for token in ("", "Bearer ", f"Bearer {TOKEN}"):
        answer = call(app.serve, needs(cloud), "GET /result", {"key": "a.jpg"}, token=token)
        assert "eTag" not in answer.json


def test_answers_are_as_the_description_says(call: Call, cloud: Cloud, pictures: SimpleNamespace) -> None:
    path = Path(app.__file__).parents[1] / "openapi.yaml"
    schemas = yaml.safe_load(path.read_text(encoding="utf-8"))["components"]["schemas"]
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    whole = with_token(call, cloud, {"key": "a.jpg"}).json
    public = get(call, cloud, {"key": "a.jpg"}).json
    for item, name in ((whole, "Result"), (public, "PublicResult")):
        parts = [schemas["ResultForAll"], schemas[name]["allOf"][1]]
        said = {key: value for part in parts for key, value in part["properties"].items()}
        assert item.keys() <= {key for key, value in said.items() if value is not False}
        assert {key for part in parts for key in part.get("required", ())} <= item.keys()


def test_a_failed_picture_is_a_result(call: Call, cloud: Cloud) -> None:
    cloud.ingest(cloud.put("a.jpg", b"GIF89a"))
    answer = get(call, cloud, {"key": "a.jpg"})
    assert (answer.status, answer.json["status"]) == (200, "failed")
    assert answer.json["error"].keys() == {"code", "message", "hint", "retryable"}


@pytest.mark.parametrize(
    ("threshold", "names"), [("0", ["A", "B", "C"]), ("60", ["A", "B"]), ("60.5", ["A"]), ("100", [])]
)
def test_the_threshold_filters_on_reading(call: Call, cloud: Cloud, threshold: str, names: list[str]) -> None:
    labels = [
        {"Name": "A", "Confidence": 99.5, "Instances": [{"Confidence": 10}]},
        {"Name": "B", "Confidence": 60},
        {"Name": "C", "Confidence": 50},
    ]
    cloud.store("a.jpg", "2026-11-22T10:00:00.000Z", labels=labels, features=["labels"])
    shown = get(call, cloud, {"key": "a.jpg", "min_confidence": threshold}).json
    assert [label["Name"] for label in shown["labels"]] == names
    assert shown["features"] == ["labels"]
    if names:
        assert shown["labels"][0]["Instances"] == [{"Confidence": 10}]
    assert len(get(call, cloud, {"key": "a.jpg"}).json["labels"]) == 3


@pytest.mark.parametrize("text", ["", "x", "-1", "100.1", "nan", "inf", "1e999", "\uff17\uff10x"])
def test_a_threshold_out_of_range_is_refused(call: Call, cloud: Cloud, text: str) -> None:
    answer = get(call, cloud, {"key": "a.jpg", "min_confidence": text})
    assert (answer.status, answer.code) == (400, "invalid_min_confidence")


@pytest.mark.parametrize("query", ["", "key=", "other=1"])
def test_a_key_must_be_given(call: Call, cloud: Cloud, query: str) -> None:
    answer = get(call, cloud, query)
    assert (answer.status, answer.code) == (400, "missing_key")


@pytest.mark.parametrize("key", ["nowhere.jpg", "x" * 1025, "é" * 600, "key%ff"])
def test_an_unknown_key_is_not_found(call: Call, cloud: Cloud, key: str) -> None:
    answer = get(call, cloud, {"key": key})
    assert (answer.status, answer.code) == (404, "not_found")


def test_a_removed_picture_is_not_found(call: Call, cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    cloud.ingest(cloud.delete("a.jpg"))
    assert get(call, cloud, {"key": "a.jpg"}).status == 404


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        ("Basic correct horse battery staple", 401),
        ("correct horse battery staple", 401),
        ("Bearer ünïcode", 401),
        (f"Bearer {DIGEST}", 401),
        ("Bearer correct horse battery staple", 404),
        ("bearer correct horse battery staple", 404),
    ],
)
def test_a_private_pipeline_wants_its_token(call: Call, cloud: Cloud, token: str | None, status: int) -> None:
    answer = call(app.serve, needs(cloud, DIGEST), "GET /result", {"key": "a"}, token=token)
    assert answer.status == status
    if status == 401:
        assert answer.code == "unauthorized"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("public", ["false", "", " true", "True", "1", "yes"])
@pytest.mark.parametrize("token", [None, "Bearer ", "Bearer x"])
def test_only_what_is_said_to_be_public_is(call: Call, cloud: Cloud, public: str, token: str | None) -> None:
    config = app.Config.from_environment({**cloud.environment, "PUBLIC_RESULTS": public})
    lost = app.Needs(config=config, results=cloud.results)
    assert call(app.serve, lost, "GET /result", {"key": "a"}, token=token).status == 401


def test_a_throttled_store_is_busy(call: Call, cloud: Cloud) -> None:
    cloud.fail(cloud.results_client, cloud.operation("read"), 400, "ThrottlingException")
    answer = get(call, cloud, {"key": "a.jpg"})
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "busy", "1")


def test_the_route_key_decides(call: Call, cloud: Cloud) -> None:
    answer = call(app.serve, needs(cloud), "GET /results", {"key": "a"})
    assert (answer.status, answer.code) == (404, "not_found")


def test_parts_that_are_absent_are_no_problem(cloud: Cloud) -> None:
    answer = app.serve({"routeKey": "GET /result"}, None, needs(cloud))
    assert answer["statusCode"] == 400


def test_too_many_parameters_are_refused(call: Call, cloud: Cloud) -> None:
    assert get(call, cloud, "&".join(f"key{n}=1" for n in range(50))).code == "invalid_query"


def test_an_unexpected_error_says_nothing_inside(
    call: Call, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.fail(cloud.results_client, cloud.operation("read"), 400, "AccessDeniedException")
    answer = get(call, cloud, {"key": "a.jpg"})
    assert (answer.status, answer.code) == (500, "internal")
    assert "Denied" not in answer.body
    logged = capsys.readouterr().out
    assert "AccessDeniedException" in logged
    assert '"requestId": "request-1"' in logged


def test_no_token_reaches_the_logs(call: Call, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.fail(cloud.results_client, cloud.operation("read"), 500, "Broken")
    for token in ("Bearer correct horse battery staple", "Bearer wrong"):
        call(app.serve, needs(cloud, DIGEST), "GET /result", {"key": "a"}, token=token)
    logged = capsys.readouterr().out
    assert "correct horse" not in logged
    assert "wrong" not in logged


def test_the_worst_case_is_below_the_timeout() -> None:
    worst_s = app.STORE_TIMEOUTS.worst_case_s()
    assert math.isclose(worst_s, 15)
    assert worst_s < 20
