"""Sending through AWS's own C library, to an S3 of this machine that can have faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.aws.names import Names
from imgpipe_cli.events import Event
from imgpipe_cli.pictures.sending.plan import Planned
from imgpipe_cli.pictures.sending.send import Outcome, send
from imgpipe_cli.pictures.sources import Source
from tests.support.account import nothing
from tests.support.loopback_s3 import LoopbackS3, loopback_s3

NAMES = Names("demo", "123456789012", "eu-west-1")
CAT = (Path(__file__).parents[3] / "examples" / "cat.jpg").read_bytes()
MB = 1024 * 1024


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackS3]:
    for name, value in {"ACCESS_KEY_ID": "AKIDLOOPBACK", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with loopback_s3(NAMES.bucket) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


def aws() -> Aws:
    return Aws(Place(region=NAMES.region))


def picture(number: int) -> Source:
    return Source(f"p/{number:06}.jpg", f"{number}.jpg", data=CAT + b"%d" % number)


def pictures(count: int) -> list[Planned]:
    return [picture(number) for number in range(count)]


def sent(planned: Any, told: list[Event] | None = None, **options: Any) -> Outcome:
    return send(aws(), NAMES, planned, nothing if told is None else told.append, **options)
