"""The real command line, run in this process or in one of its own, and what it printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.cli import main
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered, Target
from tests.support.api_server import TOKEN

ACCOUNT = "123456789012"  # moto's
REGION = "eu-west-1"
NAMES = Names("demo", ACCOUNT, REGION)
ENVELOPE = ["version", "command", "status", "data", "errors"]
PROGRAM = (sys.executable, "-m", "imgpipe_cli")


@dataclass(frozen=True)
class Printed:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        assert list(found)[:5] == ENVELOPE and found.keys() - ENVELOPE <= {"skipped", "annotated"}
        return found

    @property
    def lines(self) -> list[Any]:
        """One JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        (error,) = self.document["errors"]
        return str(error["code"])


Cli = Callable[..., Printed]


def runner(capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> Printed:
        capsys.readouterr()
        code = main(arguments)
        return Printed(code, *capsys.readouterr())

    return run


def make_bucket(s3: Any) -> Any:
    """The pipeline's bucket, with versions."""
    s3.create_bucket(Bucket=NAMES.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=NAMES.bucket, VersioningConfiguration={"Status": "Enabled"})
    return s3


def process(*arguments: str, **options: Any) -> Printed:
    done = subprocess.run(
        [*PROGRAM, *arguments], check=False, capture_output=True, text=True, timeout=60, **options
    )
    return Printed(done.returncode, done.stdout, done.stderr)


def remember(api_url: str, *, project: str = "demo", **changes: Any) -> Remembered:
    """What `up` would leave behind on this machine."""
    values: dict[str, Any] = {
        "target": Target(project, region=REGION),
        "account": ACCOUNT,
        "region": REGION,
        "endpoint": None,
        "bucket": Names(project, ACCOUNT, REGION).bucket,
        "api_url": api_url,
        "token": TOKEN,
        "private": False,
        "min_confidence": 70.0,
    }
    entry = Remembered(**(values | changes))
    Targets().put(entry)
    return entry
