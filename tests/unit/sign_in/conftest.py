"""A user's AWS configuration, and the cause that a sign-in which fails with it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws, AwsError, Place
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.errors import Problem

ROLE = "role_arn = arn:aws:iam::123456789012:role/admin\n"
KEYS = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n"
Config = Callable[[str], Path]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The user's AWS configuration file, with this in it."""

    def write(text: str) -> Path:
        path = tmp_path / "config"
        path.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        return path

    return write


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def cause(
    profile: str | None = "work",
    service: str = "sts",
    operation: str = "get_caller_identity",
    endpoint: str | None = None,
    **params: Any,
) -> Problem:
    with pytest.raises(AwsError) as caught:
        Aws(Place("eu-west-1", profile, endpoint)).call(service, operation, once=True, **params)
    return problem(caught.value, "sign in")
