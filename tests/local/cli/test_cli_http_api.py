"""The HTTP API as the contract words it, asked by a program that knows nothing of imgpipe."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered
from tests.local.cli.conftest import Pipeline
from tests.support.machine import EXAMPLES, Machine, jpeg, until

PROJECT = "closed"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json"), self
        return json.loads(self.body)

    def code(self) -> str:
        """The code of an error, which has exactly this form."""
        document = self.json()
        assert set(document) == {"error"} and set(document["error"]) == {"code", "message"}
        return str(document["error"]["code"])


def send(method: str, url: str, body: bytes | None = None, /, **headers: str) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request(method, target, body, {name.replace("_", "-"): v for name, v in headers.items()})
    answer = connection.getresponse()
    found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    connection.close()
    return found


def form(fields: Mapping[str, str], picture: bytes) -> tuple[bytes, str]:
    """A multipart form as a browser posts it: (body, content type)."""
    line = secrets.token_hex(16)
    parts = [
        f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    parts += [f"{head}Content-Type: image/jpeg\r\n\r\n".encode(), picture, f"\r\n--{line}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={line}"


def token_of(machine: Machine, project: str) -> str:
    known = [one for one in Targets(machine.state).read()[1] if isinstance(one, Remembered)]
    return next(one.token for one in known if one.target.project == project)


@pytest.fixture(scope="module")
def bearer(pipeline: Pipeline) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(pipeline.machine, pipeline.project)}"}


@pytest.fixture(scope="module")
def api(pipeline: Pipeline) -> str:
    return str(pipeline.outputs["apiUrl"])


def ask_for_upload(api: str, bearer: dict[str, str], picture: bytes, **changes: Any) -> Answer:
    wish = {"key": "Ferien/Foto 1.jpg", "sizeBytes": len(picture), "contentType": "image/jpeg", **changes}
    return send("POST", f"{api}/uploads", json.dumps(wish).encode(), **bearer)


def test_a_result_is_read_by_its_key(api: str, bearer: dict[str, str]) -> None:
    answer = send("GET", f"{api}/result?key=astronaut.jpg", **bearer)
    item = answer.json()
    assert (answer.status, item["objectKey"], item["status"]) == (200, "astronaut.jpg", "done")
    for name in ("bucket", "analyzedAt", "versionId", "eTag", "sequencer", "sizeBytes", "contentType"):
        assert item[name]
    assert item["features"] == ["labels", "moderation", "faces", "text"]
    assert item["labels"][0]["Instances"][0]["BoundingBox"].keys() == {"Left", "Top", "Width", "Height"}
    sure = send("GET", f"{api}/result?key=astronaut.jpg&min_confidence=99.5").json()
    assert sure["labels"] == []


def test_without_the_token_there_are_no_faces_no_text_and_no_ids(api: str, bearer: dict[str, str]) -> None:
    url = f"{api}/result?key=astronaut.jpg"
    whole, public = send("GET", url, **bearer).json(), send("GET", url).json()
    secret = {"faces", "text", "versionId", "eTag", "sequencer", "sha256"}
    assert whole.keys() - public.keys() == secret
    assert public == {name: value for name, value in whole.items() if name not in secret}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_key"),
        ("?key=", 400, "missing_key"),
        ("?key=never.jpg", 404, "not_found"),
        (f"?key={quote('ä' * 600)}", 404, "not_found"),
        ("?key=cat.jpg&min_confidence=many", 400, "invalid_min_confidence"),
        ("?key=cat.jpg&min_confidence=101", 400, "invalid_min_confidence"),
    ],
)
def test_what_cannot_be_answered_is_an_error_in_json(api: str, query: str, status: int, code: str) -> None:
    answer = send("GET", f"{api}/result{query}")
    assert (answer.status, answer.code()) == (status, code)


def test_results_come_newest_first_in_pages(api: str, bearer: dict[str, str]) -> None:
    keys: list[str] = []
    times: list[str] = []
    after = ""
    for _ in range(200):
        page = send("GET", f"{api}/results?limit=2{after}", **bearer).json()
        keys += [item["objectKey"] for item in page["items"]]
        times += [item["analyzedAt"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"
    assert {"astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png"} <= set(keys)
    assert len(keys) == len(set(keys))
    assert times == sorted(times, reverse=True)
    for query, code in (
        ("limit=0", "invalid_limit"),
        ("limit=x", "invalid_limit"),
        ("after=%", "invalid_cursor"),
    ):
        assert send("GET", f"{api}/results?{query}", **bearer).code() == code


def test_pictures_are_seen_through_links_that_pass(api: str, bearer: dict[str, str]) -> None:
    page = send("GET", f"{api}/results?limit=100&images=true", **bearer).json()
    cat = next(item for item in page["items"] if item["objectKey"] == "cat.jpg")
    whole = (EXAMPLES / "cat.jpg").read_bytes()
    picture = send("GET", cat["imageUrl"])
    assert (picture.status, picture.body == whole) == (200, True)
    link = send("GET", f"{api}/image?key=cat.jpg", **bearer).json()
    assert 0 < link["expiresIn"] <= 3600
    assert send("GET", link["url"]).body == whole
    assert send("GET", link["url"].replace("cat.jpg", "coffee.jpg")).status == 403
    assert send("GET", f"{api}/image?key=never.jpg", **bearer).code() == "not_found"


def test_several_results_come_in_one_answer(api: str, bearer: dict[str, str]) -> None:
    body = json.dumps({"keys": ["cat.jpg", "never.jpg", "coffee.jpg", "ü 日本.jpg"]}).encode()
    found = send("POST", f"{api}/results", body, **bearer).json()
    assert [item["objectKey"] for item in found["items"]] == ["cat.jpg", "coffee.jpg"]
    assert (found["absent"], found["rest"]) == (["never.jpg", "ü 日本.jpg"], [])
    assert send("POST", f"{api}/results", b'{"keys": []}', **bearer).code() == "invalid_keys"


def test_the_list_leaves_out_what_is_not_asked_for(api: str, bearer: dict[str, str]) -> None:
    found = send("GET", f"{api}/results?prefix=ca&status=done", **bearer).json()
    assert [item["objectKey"] for item in found["items"]] == ["cat.jpg"]
    assert send("GET", f"{api}/results?prefix=ca&status=failed", **bearer).json()["items"] == []


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
@pytest.mark.parametrize(
    "route", ["GET /results", "POST /results", "POST /uploads", "GET /image?key=cat.jpg"]
)
def test_everything_but_the_page_and_single_results_needs_the_token(
    api: str, route: str, given: dict[str, str]
) -> None:
    method, path = route.split()
    answer = send(method, f"{api}{path}", b"{}" if method == "POST" else None, **given)
    assert (answer.status, answer.code()) == (401, "unauthorized")


def test_a_picture_posted_with_the_form_gets_its_result(api: str, bearer: dict[str, str]) -> None:
    picture = (EXAMPLES / "astronaut.jpg").read_bytes()
    answer = ask_for_upload(api, bearer, picture)
    permit = answer.json()
    assert (answer.status, set(permit)) == (201, {"url", "fields", "key"})
    assert permit["key"].startswith("web/") and permit["key"].endswith("-Foto-1.jpg")
    body, kind = form(permit["fields"], picture)
    posted = send("POST", permit["url"], body, Content_Type=kind, Origin="http://127.0.0.1:1")
    assert posted.status == 403  # a web page of another origin
    posted = send("POST", permit["url"], body, Content_Type=kind)
    assert posted.status in (200, 201, 204), posted
    where = f"{api}/result?key={quote(permit['key'])}"
    until(lambda: send("GET", where).status == 200, what="a result of the posted picture")
    assert [label["Name"] for label in send("GET", where).json()["labels"]] == ["Face", "Head", "Person"]


def test_the_form_takes_only_what_it_was_made_for(api: str, bearer: dict[str, str]) -> None:
    picture = jpeg(77)
    permit = ask_for_upload(api, bearer, picture).json()
    fields = permit["fields"]
    for wrong_fields, wrong_picture in (
        (fields, picture + b"more"),
        (fields, picture[:-1]),
        ({**fields, "key": "cat.jpg"}, picture),
        ({**fields, "Content-Type": "text/html"}, picture),
    ):
        body, kind = form(wrong_fields, wrong_picture)
        assert send("POST", permit["url"], body, Content_Type=kind).status in (400, 403)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": ""}, "missing_key"),
        ({"contentType": "text/html"}, "unsupported_format"),
        ({"sizeBytes": 0}, "invalid_size"),
        ({"sizeBytes": 15 * 1024 * 1024 + 1}, "too_large"),
    ],
)
def test_an_upload_that_would_fail_gets_no_form(
    api: str, bearer: dict[str, str], changes: dict[str, Any], code: str
) -> None:
    assert ask_for_upload(api, bearer, b"x", **changes).code() == code
    assert send("POST", f"{api}/uploads", b"no json", **bearer).code() == "invalid_body"


def test_the_page_and_its_files_are_served_under_a_strict_policy(pipeline: Pipeline, api: str) -> None:
    page = send("GET", str(pipeline.outputs["pageUrl"]))
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert urlsplit(api).netloc in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert b"{{" not in page.body
    for name, kind in (("app.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg")):
        assert f"assets/{name}".encode() in page.body
        file = send("GET", f"{api}/assets/{name}")
        assert (file.status, file.headers["content-type"].startswith(kind)) == (200, True)
    assert send("GET", f"{api}/assets/..%2Fapp.py").status == 404
    assert send("GET", f"{api}/nothing").status == 404


def test_pages_of_other_origins_may_read_results(api: str) -> None:
    preflight = {
        "Origin": "https://viewer.example",
        "Access_Control_Request_Method": "GET",
        "Access_Control_Request_Headers": "authorization",
    }
    asked = send("OPTIONS", f"{api}/results", **preflight)
    assert asked.status in (200, 204)
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    answer = send("GET", f"{api}/result?key=cat.jpg", Origin="https://viewer.example")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.fixture(scope="module")
def closed(machine: Machine, pipeline: Pipeline) -> Iterator[Pipeline]:
    done = machine.imgpipe("up", "--local", "--project", PROJECT, "--private", "--json")
    yield Pipeline(machine, PROJECT, done.json()["data"], done)
    machine.imgpipe("down", "--local", "--project", PROJECT, "--yes")


def test_a_private_pipeline_gives_nothing_without_the_token(closed: Pipeline) -> None:
    closed.imgpipe("upload", EXAMPLES / "cat.jpg", "--wait")
    url = f"{closed.outputs['apiUrl']}/result?key=cat.jpg"
    assert send("GET", url).code() == "unauthorized"
    token = token_of(closed.machine, PROJECT)
    assert send("GET", url, Authorization=f"Bearer {token}").json()["status"] == "done"
    assert closed.imgpipe("result", "cat.jpg", "--json").json()["data"][0]["status"] == "done"
    assert token not in closed.imgpipe("up", "--verbose").out
    assert token not in closed.imgpipe("status", "--json").out
    assert send("GET", str(closed.outputs["pageUrl"])).status == 200


def test_another_projects_token_opens_nothing_here(closed: Pipeline, bearer: dict[str, str]) -> None:
    assert send("GET", f"{closed.outputs['apiUrl']}/results", **bearer).code() == "unauthorized"
