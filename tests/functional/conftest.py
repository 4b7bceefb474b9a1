"""The fixtures that several of these files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imgpipe_cli.aws.client import Aws
from tests.support.account import fresh_account
from tests.support.api_server import Clock, FakeApi, serving
from tests.support.cli import REGION, Cli, make_bucket, remember, runner


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run in this process wait for AWS on a clock that only their waiting moves."""
    clock = Clock()
    assert Aws.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(Aws.__init__.__kwdefaults__, "sleep", clock.sleep)
    monkeypatch.setitem(Aws.__init__.__kwdefaults__, "clock", clock)


@pytest.fixture(autouse=True)
def no_quotas(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto knows no quotas of Rekognition, and of other services not these operations."""
    answers = "moto.servicequotas.responses.ServiceQuotasResponse"
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        monkeypatch.setattr(f"{answers}.{operation}", lambda _self: '{"Quotas": []}', raising=False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture
def played() -> Iterator[FakeApi]:
    """The API of the pipeline that is remembered."""
    with serving() as api:
        remember(api.url)
        yield api


@pytest.fixture
def bucket() -> Iterator[Any]:
    """The pipeline's bucket, in an account of moto's."""
    with mock_aws():
        yield make_bucket(boto3.client("s3", region_name=REGION))


@pytest.fixture
def account() -> Iterator[None]:
    """An empty account of moto's."""
    with fresh_account():
        yield
