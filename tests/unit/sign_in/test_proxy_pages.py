"""What a proxy answers in place of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws, AwsError, Place
from tests.support import loopback
from tests.support.loopback import Page
from tests.unit.sign_in.conftest import cause

BLOCKED = b"<html><head><title>403</title></head><body>Blocked by policy</body></html>"
HTML = "text/html; charset=utf-8"


@pytest.fixture
def page() -> Iterator[Page]:
    """One answer to everything, as a proxy or a network's sign-in page gives it."""
    with loopback.answering(Page(403, BLOCKED, {"Content-Type": HTML})) as answer:
        yield answer


CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("sts", "get_caller_identity", {}),
    ("iam", "get_role", {"RoleName": "r"}),
    ("s3", "head_bucket", {"Bucket": "bucket"}),
    ("s3", "list_objects_v2", {"Bucket": "bucket"}),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "k", "Body": b"x"}),
    ("dynamodb", "describe_table", {"TableName": "table"}),
    ("lambda", "get_function", {"FunctionName": "f"}),
)
OTHER_PAGES = (b"<!DOCTYPE html><html><p>no<br></html>", b"blocked")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("service", "operation", "params"), CALLS)
def test_a_page_of_a_proxys_is_no_missing_permission(
    page: Page, service: str, operation: str, params: dict[str, Any]
) -> None:
    for page.status in (403, 407):
        for page.body in (BLOCKED, *OTHER_PAGES):
            for kind in (HTML, *([] if operation == "head_bucket" else [""])):
                page.headers = {"Content-Type": kind} if kind else {}
                found = cause(None, service, operation, page.url, **params)
                assert found.code == "not_aws", (page.status, page.body, kind)
                assert "proxy" in found.hint


@pytest.mark.usefixtures("keys")
def test_a_page_is_no_sign_in(page: Page) -> None:
    page.status = 200
    for page.body in (BLOCKED, *OTHER_PAGES):
        assert cause(None, endpoint=page.url).code == "not_aws"


@pytest.mark.usefixtures("keys")
def test_doctor_takes_a_proxys_page_for_no_answer_of_awss(page: Page) -> None:
    aws = Aws(Place("eu-west-1", None, page.url))
    for page.status in (403, 200):
        with pytest.raises(AwsError) as caught:
            aws.contact()
        assert caught.value.code == "NotAws"


@pytest.mark.usefixtures("keys")
def test_a_proxy_that_lets_nothing_through_says_why(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", page.url)
    found = cause(profile=None)
    assert "Tunnel connection failed: 403" in found.message
    assert "HTTPS_PROXY" in found.hint
