"""The HTTP API against its own description: generated requests, right ones and wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from imgpipe_cli.deploy.resources.api_routes import ROUTES
from tests.local.cli.conftest import Pipeline
from tests.support import exhaustive
from tests.support.machine import EXAMPLES, ROOT, Machine

DESCRIPTION = ROOT / "lambda_src" / "openapi.yaml"
SETTINGS = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def private(machine: Machine) -> Iterator[Pipeline]:
    done = machine.imgpipe(
        "up", "--local", "--project", "described", "--private", "--results", "s3", "--json"
    )
    sent = machine.imgpipe("upload", EXAMPLES / "cat.jpg", "--wait", "--project", "described", "--local")
    yield Pipeline(machine, "described", done.json()["data"], sent)
    machine.imgpipe("down", "--local", "--project", "described", "--yes")


def test_the_description_names_every_route_and_no_other() -> None:
    paths = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    described = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert described == set(ROUTES)


@pytest.mark.parametrize("kind", ["public, results in a table", "private, results in S3"])
@pytest.mark.loops
def test_every_answer_is_a_declared_one(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    pipeline: Pipeline = request.getfixturevalue("pipeline" if kind.startswith("public") else "private")
    token = pipeline.imgpipe("token").out.strip()
    # Its checks: no 5xx; only declared statuses, types and forms of answers; what is wrong is refused, what
    # is right is not; and nothing that needs the token is answered without one or with a wrong one.
    done = subprocess.run(
        [
            *(sys.executable, "-c", "import schemathesis.cli; schemathesis.cli.schemathesis()"),
            *("--config-file", str(SETTINGS), "run", str(DESCRIPTION), "--url", pipeline.outputs["apiUrl"]),
            *(
                "--phases",
                "examples,coverage,fuzzing",
                "--max-examples",
                "30" if exhaustive.share.everything else "8",
            ),
            *("--seed", str(7 + exhaustive.share.slice)),
            *("--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUTF8": "1", "TOKEN": token},
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 9" in done.stdout
    assert token not in done.stdout
