"""The page as one file: what is in it, what is not, and what it may load."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from imgpipe_cli.lambdas import package
from imgpipe_cli.pictures.standalone_page import bucket_origin, is_saved_page, saved_page
from imgpipe_cli.session.target import Remembered, Target
from imgpipe_cli.system.file_io import NotRegular

BUCKET = "imgpipe-uploads-123456789012-eu-west-1-an"
ON_AWS = Remembered(
    target=Target(region="eu-west-1"),
    account="123456789012",
    region="eu-west-1",
    endpoint=None,
    bucket=BUCKET,
    api_url="https://abc.execute-api.eu-west-1.amazonaws.com/prod",
    token="a-very-secret-token",
    private=False,
    min_confidence=72.5,
)
LOCAL = replace(
    ON_AWS,
    target=Target(local=True),
    endpoint="http://127.0.0.1:4566",
    api_url="http://127.0.0.1:4566/_aws/execute-api/abc/prod",
    private=True,
)


def policy(text: str) -> dict[str, str]:
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert found
    return dict(part.split(" ", 1) for part in html.unescape(found[1]).split("; "))


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("pipeline", [ON_AWS, LOCAL])
def test_the_policy_allows_exactly_this_script_and_style(pipeline: Remembered) -> None:
    text = saved_page(pipeline)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert (len(scripts), len(styles)) == (1, 1)
    rules = policy(text)
    assert rules["script-src"] == digest(scripts[0])
    assert rules["style-src"] == digest(styles[0])
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"


def test_it_may_talk_to_the_api_and_the_bucket_only() -> None:
    hosts = f"https://abc.execute-api.eu-west-1.amazonaws.com https://{BUCKET}.s3.eu-west-1.amazonaws.com"
    assert policy(saved_page(ON_AWS))["connect-src"] == hosts
    assert policy(saved_page(ON_AWS))["img-src"] == f"{hosts} blob: data:"
    assert policy(saved_page(LOCAL))["connect-src"] == "http://127.0.0.1:4566"


@pytest.mark.parametrize("pipeline", [ON_AWS, LOCAL])
def test_it_is_complete_and_holds_no_token(pipeline: Remembered) -> None:
    text = saved_page(pipeline)
    assert pipeline.token not in text
    assert "{{" not in text
    assert "assets/" not in text
    assert f'data-api="{pipeline.api_url}/"' in text


def test_it_knows_its_pipelines_settings() -> None:
    assert 'data-bucket="true" data-min-confidence="72.5" data-public-results="true"' in saved_page(ON_AWS)
    assert 'data-bucket="false" data-min-confidence="72.5" data-public-results="false"' in saved_page(LOCAL)


def test_the_bucket_of_another_partition() -> None:
    assert bucket_origin(replace(ON_AWS, region="cn-north-1")).endswith(".s3.cn-north-1.amazonaws.com.cn")


def test_only_a_saved_page_is_one(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(saved_page(ON_AWS), encoding="utf-8")
    assert is_saved_page(page)
    assert not is_saved_page(package.source() / "web" / "page" / "index.html")
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff" + bytes(range(256)))
    assert not is_saved_page(tmp_path / "picture.jpg")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_pipe_is_no_saved_page_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "page.html")
    with pytest.raises(NotRegular):
        is_saved_page(tmp_path / "page.html")
