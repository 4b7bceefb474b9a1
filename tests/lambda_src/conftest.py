"""The fixtures of the functions' tests: a small cloud with either store of results, and requests to it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

from tests.support.function_cloud import Cloud, played_cloud
from tests.support.gateway import Call, send
from tests.support.picture_heads import jpeg, png

# A case may take as long as the machine needs.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own AWS settings reaches a test."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["table", "bucket"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Every test with a cloud runs once for each store of results, unless it names one."""
    return str(request.param)


@pytest.fixture
def unversioned_cloud(store_kind: str) -> Iterator[Cloud]:
    with played_cloud(store_kind) as cloud:
        yield cloud


@pytest.fixture
def cloud(unversioned_cloud: Cloud) -> Cloud:
    """With versions on, as the pipeline sets its bucket up."""
    unversioned_cloud.keep_versions()
    return unversioned_cloud


@pytest.fixture
def call() -> Call:
    return send


@pytest.fixture
def pictures() -> SimpleNamespace:
    """Functions that make picture headers: `jpeg(width, height, ...)` and `png(width, height)`."""
    return SimpleNamespace(jpeg=jpeg, png=png)
