"""Signing in: the account, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from moto import mock_aws

from imgpipe_cli.aws.client import Aws, AwsError, Place
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.connection import connect
from imgpipe_cli.session.target import Begun, Remembered, Target

TARGET = Target("demo", region="eu-west-1")
REMEMBERED = Remembered(TARGET, "123456789012", "eu-west-1", None, "b", "https://x/prod", "", False, 70.0)


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    with mock_aws():
        yield


def test_the_names_are_of_the_account_that_signed_in() -> None:
    connection = connect(TARGET, None)
    assert connection.names.bucket == "demo-uploads-123456789012-eu-west-1-an"
    assert connection.names.partition == "aws"
    assert connection.endpoint is None


def test_the_region_of_the_environment_is_remembered_with_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    connection = connect(Target("demo"), None)
    assert connection.target == Target("demo", region="eu-central-1")
    assert connection.names.region == "eu-central-1"


def test_waiting_for_a_busy_sign_in_is_told_and_its_end_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As behind a proxy that is out of order: two minutes without a word look like a command that hangs."""
    told: list[str] = []

    def busy(aws: Aws, *_call: str) -> None:
        assert aws.backoff.on_busy is not None
        aws.backoff.on_busy("502")
        raise AwsError("502", "", service="sts", operation="get_caller_identity", status=502)

    monkeypatch.setattr(Aws, "call", busy)
    with pytest.raises(Problem, match=r"sts answered HTTP 502 again and again, and says no reason\."):
        connect(TARGET, None, on_busy=told.append)
    assert told == ["502"]


def test_in_the_account_that_is_remembered_everything_is_fine() -> None:
    assert connect(TARGET, REMEMBERED).target == TARGET


def test_another_account_than_the_remembered_one_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        connect(TARGET, replace(REMEMBERED, account="999999999999"))
    assert caught.value.code == "other_account"
    assert "123456789012" in caught.value.message
    assert "999999999999" in caught.value.message
    assert "--profile" in caught.value.hint


def test_another_endpoint_than_the_remembered_one_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        connect(TARGET, replace(REMEMBERED, endpoint="http://127.0.0.1:4566"))
    assert caught.value.code == "other_endpoint"
    assert "http://127.0.0.1:4566" in caught.value.message
    assert "now AWS_ENDPOINT_URL says AWS" in caught.value.message


def test_aws_remembered_and_an_endpoint_now_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only S3's endpoint: it is not called, and STS stays with moto.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(Problem) as caught:
        connect(TARGET, REMEMBERED)
    assert caught.value.code == "other_endpoint"
    assert "demo was set up at AWS" in caught.value.message


def test_without_a_region_nothing_is_assumed() -> None:
    with pytest.raises(Problem) as caught:
        connect(Target("demo"), None)
    assert (caught.value.code, caught.value.exit_code) == ("no_region", ExitCode.USAGE)


def test_a_local_target_needs_the_local_cloud_running() -> None:
    with pytest.raises(Problem) as caught:
        connect(Target("demo", local=True), None)
    assert (caught.value.code, caught.value.exit_code) == ("local_not_running", ExitCode.NOT_SET_UP)
    assert "imgpipe local start" in caught.value.hint


LOCAL = Place("us-east-1", endpoint="http://127.0.0.1:9", access_key_id="a", secret_access_key="b")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_PROFILE", "gone"),
        ("AWS_DEFAULT_PROFILE", "gone"),
        ("AWS_CONFIG_FILE", "broken"),
        ("AWS_SHARED_CREDENTIALS_FILE", "broken"),
        ("AWS_DEFAULTS_MODE", "bogus"),
        ("AWS_MAX_ATTEMPTS", "many"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "bogus"),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "bogus"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "bogus"),
        ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "bogus"),
    ],
)
def test_what_is_wrong_about_aws_keeps_nobody_from_the_local_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken").write_text("[[[\n")
    monkeypatch.setenv(name, value)
    for service in ("s3", "sts"):
        assert Aws(LOCAL).endpoint(service) == LOCAL.endpoint


def test_another_account_than_the_one_that_up_began_in_is_refused() -> None:
    with pytest.raises(Problem, match=r"demo was begun in 999999999999\.$"):
        connect(TARGET, Begun(TARGET, "999999999999", "eu-west-1", None))
