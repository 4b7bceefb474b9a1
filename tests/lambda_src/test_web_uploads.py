"""POST /uploads: the form that S3 is given, and the key that a picture gets."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import app
from web.uploads import safe_name, ulid

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

GOOD: dict[str, Any] = {"key": "My cat.JPG", "sizeBytes": 1234, "contentType": "image/jpeg"}


def post(call: Call, cloud: Cloud, document: Any, **more: Any) -> Any:
    body = document if isinstance(document, str) else json.dumps(document)
    return call(app.serve, cloud.web(), "POST /uploads", body=body, **more)


def test_the_form_allows_exactly_this_upload(call: Call, cloud: Cloud) -> None:
    answer = post(call, cloud, GOOD)
    assert answer.status == 201
    form = answer.json
    assert form.keys() == {"url", "fields", "key"}
    assert form["url"] == "https://imgpipe-uploads-123456789012-eu-west-1-an.s3.eu-west-1.amazonaws.com/"
    assert re.fullmatch(r"web/[0-9A-HJKMNP-TV-Z]{26}-My-cat\.JPG", form["key"])
    assert form["fields"]["key"] == form["key"]
    assert form["fields"]["Content-Type"] == "image/jpeg"
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    conditions = policy["conditions"]
    assert {"key": form["key"]} in conditions
    assert {"Content-Type": "image/jpeg"} in conditions
    assert ["content-length-range", 1234, 1234] in conditions
    assert {"bucket": "imgpipe-uploads-123456789012-eu-west-1-an"} in conditions
    left = datetime.fromisoformat(policy["expiration"]) - datetime.now(UTC)
    assert left.total_seconds() <= 120


def test_a_body_in_base64_is_read(call: Call, cloud: Cloud) -> None:
    body = base64.b64encode(json.dumps(GOOD).encode()).decode()
    assert post(call, cloud, body, base64=True).status == 201
    assert post(call, cloud, "no base64!", base64=True).code == "invalid_body"


def test_each_upload_has_a_key_of_its_own(call: Call, cloud: Cloud) -> None:
    assert len({post(call, cloud, GOOD).json["key"] for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": ""}, "missing_key"),
        ({"key": None}, "missing_key"),
        ({"key": 5}, "missing_key"),
        ({"contentType": "image/gif"}, "unsupported_format"),
        ({"contentType": None}, "unsupported_format"),
        ({"contentType": ["image/jpeg"]}, "unsupported_format"),
        ({"contentType": "image/jpeg; x"}, "unsupported_format"),
        ({"sizeBytes": 0}, "invalid_size"),
        ({"sizeBytes": -1}, "invalid_size"),
        ({"sizeBytes": 1.5}, "invalid_size"),
        ({"sizeBytes": 1e400}, "invalid_size"),
        ({"sizeBytes": 1e300}, "too_large"),
        ({"sizeBytes": True}, "invalid_size"),
        ({"sizeBytes": "12"}, "invalid_size"),
        ({"sizeBytes": 15_728_641}, "too_large"),
    ],
)
def test_a_wrong_wish_is_refused(call: Call, cloud: Cloud, change: dict[str, Any], code: str) -> None:
    answer = post(call, cloud, {**GOOD, **change})
    assert (answer.status, answer.code) == (400, code)


def test_a_whole_number_may_be_written_with_a_point(call: Call, cloud: Cloud) -> None:
    answer = post(call, cloud, {**GOOD, "sizeBytes": 1234.0})
    assert answer.status == 201
    policy = json.loads(base64.b64decode(answer.json["fields"]["policy"]))
    assert ["content-length-range", 1234, 1234] in policy["conditions"]


def test_the_largest_picture_is_allowed(call: Call, cloud: Cloud) -> None:
    assert post(call, cloud, {**GOOD, "sizeBytes": 15_728_640}).status == 201


@pytest.mark.parametrize(
    "body", ["", "x", "[]", "null", "5", '{"key": ', "[" * 16_000, "[" * 100_000, '{"a":"' + "x" * 20_000]
)
def test_a_body_that_is_no_object_is_refused(call: Call, cloud: Cloud, body: str) -> None:
    answer = post(call, cloud, body)
    assert (answer.status, answer.code) == (400, "invalid_body")


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("cat.jpg", "cat.jpg"),
        ("Urlaub Sommer 2026.jpeg", "Urlaub-Sommer-2026.jpeg"),
        ("C:\\Users\\me\\cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd.jpg"),
        ("/", "picture.jpg"),
        ("...", "picture.jpg"),
        (".jpg", "picture.jpg"),
        ("日本語.png", "日本語.png"),
        ("e\u0301t\u00e9.jpg", "\u00e9t\u00e9.jpg"),
        ("a\x00b\r\nc\u202egpj.jpg", "a-b-c-gpj.jpg"),
        ("${filename}.jpg", "filename.jpg"),
        ("<script>alert(1)</script>.png", "script.png"),
        ("a'b\"c`d$e;f|g&h.jpg", "a-b-c-d-e-f-g-h.jpg"),
        ("photo.heic", "photo.heic.jpg"),
        ("\U0001f600.jpg", "picture.jpg"),
        ("--flag.jpg", "flag.jpg"),
        ("x" * 5000 + ".png", "x" * 196 + ".png"),
    ],
)
def test_names_become_harmless(wish: str, name: str) -> None:
    assert safe_name(wish, ".jpg") == name


@given(st.text(max_size=300), st.sampled_from([".jpg", ".png"]))
def test_no_name_is_dangerous(wish: str, ending: str) -> None:
    name = safe_name(wish, ending)
    assert 5 <= len(name.encode()) <= 200
    assert name.isprintable()
    assert name.lower().endswith((".jpg", ".jpeg", ".png"))
    assert not name.startswith((".", "-"))
    assert not set("/\\ ${}<>\"'`&|;%#?*^~[]:@!") & set(name)


def test_ulids_sort_by_time() -> None:
    # The time part of the format's own example: 01ARZ3NDEK is 2016-07-30T23:54:10.259Z.
    example = datetime(2016, 7, 30, 23, 54, 10, 259_000, tzinfo=UTC)
    assert ulid(example).startswith("01ARZ3NDEK")
    times = [datetime.fromtimestamp(second, UTC) for second in (0, 1, 10**9, 2 * 10**9, 10**10)]
    names = [ulid(time) for time in times]
    assert names == sorted(names)
    assert all(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", name) for name in names)
