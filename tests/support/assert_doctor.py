"""An account in which nothing is wrong, and what `imgpipe doctor --json` says of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws

from tests.support.cli import REGION, Cli, Printed
from tests.support.loopback_aws import LoopbackAws, serving

SECRET = "wJalrXUtnFEMIsecretEXAMPLEKEY"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
# All that is not ok: three services are played elsewhere.
AS_PLAYED = {"endpoints": "warning"}


@contextmanager
def signed_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackAws]:
    """Credentials and a region in the environment, and what they reach."""
    with mock_aws(config={"core": {"mock_credentials": False}}), serving() as played:
        for name, value in played.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_REGION", REGION)
        yield played


def doctor(cli: Cli, *options: str) -> Printed:
    return cli("doctor", "--project", "demo", "--json", *options)


def checks(printed: Printed) -> dict[str, Any]:
    return {check["id"]: check for check in printed.document["data"]["checks"]}


def not_ok(printed: Printed) -> dict[str, str]:
    return {name: check["verdict"] for name, check in checks(printed).items() if check["verdict"] != "ok"}
