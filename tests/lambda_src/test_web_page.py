"""The page, its files, GET /image, and who may ask for what."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.aws_clients import Timeouts, s3_client
from web import app, modules
from web.needs import Config
from web.page_files import _bucket_origins

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

PAGE = Path(app.__file__).parent / "page"
HOST = "https://imgpipe-uploads-123456789012-eu-west-1-an.s3.eu-west-1.amazonaws.com"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.found


def test_anyone_may_load_the_page(call: Call, cloud: Cloud) -> None:
    answer = call(app.serve, cloud.web(), "GET /", token=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "{{" not in answer.body
    body = next(attributes for tag, attributes in tags(answer.body) if tag == "body")
    assert body == {
        "data-api": "",
        "data-bucket": "true",
        "data-min-confidence": "70",
        "data-public-results": "true",
    }


def test_the_page_may_load_only_its_own_files_and_the_bucket(call: Call, cloud: Cloud) -> None:
    answer = call(app.serve, cloud.web(), "GET /", token=None)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' {HOST} blob:",
        "connect-src": f"'self' {HOST}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_nothing_in_the_page_breaks_its_policy(call: Call, cloud: Cloud) -> None:
    page = call(app.serve, cloud.web(), "GET /", token=None).body
    assert "<style" not in page
    for tag, attributes in tags(page):
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes["src"]
        link = attributes.get("src") or attributes.get("href")
        # Relative, since the page stands below the stage's name.
        assert link is None or re.fullmatch(r"assets/[a-z.]+\?v=[0-9a-f]{16}", link)


def test_the_script_shows_everything_as_text(call: Call, cloud: Cloud) -> None:
    script = call(app.serve, cloud.web(), "GET /assets/{file}", path={"file": "app.js"}).body
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert dangerous not in script


def test_the_whole_page_is_light(call: Call, cloud: Cloud) -> None:
    """At most 62 KB uncompressed in all, in four answers; the sources hold no more than that either."""
    files = ("app.js", "style.css", "icon.svg")
    texts = [call(app.serve, cloud.web(), "GET /").body]
    texts += [call(app.serve, cloud.web(), "GET /assets/{file}", path={"file": file}).body for file in files]
    assert sum(len(text.encode()) for text in texts) <= 62 * 1024
    assert sum(path.stat().st_size for path in PAGE.iterdir()) <= 62 * 1024


def test_the_modules_are_joined_each_once_and_in_order() -> None:
    text = modules.joined(PAGE)
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    for path in PAGE.glob("*.js"):
        first_line = path.read_text(encoding="utf-8").partition("\n")[0]
        assert text.count(first_line) == 1, f"{path.name} is not part of the page, or twice"
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names)), "two modules share a top-level name"


@pytest.mark.parametrize(
    "line", ['import x from "./b.js";', 'import "./b.js";', "export default 1;", 'export * from "./b.js";']
)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "app.js").write_text(f"{line}\n")
    with pytest.raises(ValueError, match="cannot join"):
        modules.joined(tmp_path)


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_the_files_of_the_page(call: Call, cloud: Cloud, file: str, content_type: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /assets/{file}", token=None, path={"file": file})
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.headers["Cache-Control"] == "no-cache"
    page = call(app.serve, cloud.web(), "GET /").body
    version = re.search(r"\?v=([0-9a-f]+)", page)
    assert version
    kept = call(app.serve, cloud.web(), "GET /assets/{file}", {"v": version[1]}, path={"file": file})
    assert "immutable" in kept.headers["Cache-Control"]


@pytest.mark.parametrize("file", ["", "index.html", "../app.py", "%2e%2e/app.py", "APP.JS", "app.js/", "x"])
def test_no_other_file_is_given_out(call: Call, cloud: Cloud, file: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /assets/{file}", path={"file": file})
    assert (answer.status, answer.code) == (404, "not_found")


def test_an_endpoint_of_ones_own_has_the_bucket_in_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    client = s3_client(Timeouts(connect_s=1, read_s=1))
    assert _bucket_origins(client, "pictures") == ("http://127.0.0.1:4566",)
    assert client.generate_presigned_post("pictures", "k")["url"] == "http://127.0.0.1:4566/pictures"


def test_an_image_link_is_short_lived_and_exact(call: Call, cloud: Cloud) -> None:
    cloud.store("a b+c.jpg", "2026-11-22T10:00:00.000Z", versionId="v1", contentType="image/jpeg")
    answer = call(app.serve, cloud.web(), "GET /image", {"key": "a b+c.jpg"})
    assert (answer.status, answer.json["expiresIn"]) == (200, 300)
    assert answer.json["url"].startswith(f"{HOST}/a%20b%2Bc.jpg?")
    assert "versionId=v1" in answer.json["url"]
    assert "X-Amz-Expires=300" in answer.json["url"]


def test_what_is_no_picture_is_only_offered_as_a_download(call: Call, cloud: Cloud) -> None:
    """An HTML page sent as a picture must not run on the bucket's host."""
    cloud.ingest(cloud.put("evil.jpg", b"<html><script>"))
    url = call(app.serve, cloud.web(), "GET /image", {"key": "evil.jpg"}).json["url"]
    assert "response-content-type=application%2Foctet-stream" in url
    assert "response-content-disposition=attachment" in url


@pytest.mark.parametrize(("query", "code"), [({}, "missing_key"), ({"key": "none.jpg"}, "not_found")])
def test_an_image_needs_a_result(call: Call, cloud: Cloud, query: dict[str, str], code: str) -> None:
    assert call(app.serve, cloud.web(), "GET /image", query).code == code


@pytest.mark.parametrize("route", ["GET /results", "POST /results", "POST /uploads", "GET /image"])
@pytest.mark.parametrize("token", [None, "Bearer wrong", "Basic x"])
def test_data_needs_the_token(call: Call, cloud: Cloud, route: str, token: str | None) -> None:
    answer = call(app.serve, cloud.web(), route, token=token, body="{}")
    assert (answer.status, answer.code) == (401, "unauthorized")


@pytest.mark.parametrize("token", [None, "Bearer ", "Bearer", "Bearer x"])
def test_a_lost_setting_lets_nobody_in(call: Call, cloud: Cloud, token: str | None) -> None:
    from dataclasses import replace

    deps = cloud.web()
    deps = replace(deps, config=replace(deps.config, token_sha256=""))
    assert call(app.serve, deps, "GET /results", token=token).status == 401


@pytest.mark.parametrize("route", ["GET /nothing", "DELETE /results", "$default"])
def test_other_routes_are_not_found(call: Call, cloud: Cloud, route: str) -> None:
    assert call(app.serve, cloud.web(), route).code == "not_found"


def test_settings_are_read_from_the_environment() -> None:
    config = Config.from_environment(
        {
            "TABLE_NAME": "t",
            "INDEX_TABLE": "i",
            "MONTHLY_LIMIT": "100",
            "INDEX_NAME": "by-time",
            "BUCKET_NAME": "b",
            "UPLOAD_PREFIX": "web/",
            "TOKEN_SHA256": "00",
            "FIRST_DAY": "2026-11-01",
            "MIN_CONFIDENCE": "72.5",
            "PUBLIC_RESULTS": "false",
        }
    )
    assert (config.first_day.day, config.min_confidence, config.public_results) == (1, 72.5, False)
    assert (config.index_table, config.monthly_limit) == ("i", 100)
