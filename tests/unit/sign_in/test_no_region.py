"""Commands where nobody has named a region, or the configuration cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.sign_in.conftest import Config


@pytest.mark.parametrize("command", [("list",), ("result", "k"), ("status",), ("up",)], ids=" ".join)
def test_without_a_region_no_other_command_is_advised(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    from imgpipe_cli.cli import main

    assert main(command) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint.startswith("Hint: Name one: add --region eu-west-1, or set AWS_REGION.")
    assert ("imgpipe up --local" in hint) is (command == ("up",))
    assert "imgpipe" not in hint.replace("imgpipe up --local", "")


def test_the_policy_is_there_before_anything_of_aws_is_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    from imgpipe_cli.cli import main

    assert main(["policy", "--for", "logs"]) == 0
    out, err = capsys.readouterr()
    (statement,) = json.loads(out)["Statement"]
    assert statement["Resource"][0] == "arn:aws:logs:*:*:log-group:/aws/lambda/imgpipe-get-result:*"
    assert "--account" in err
    assert "--region" in err


def test_a_file_that_stays_empty_has_a_message_beside_it(tmp_path: Path, config: Config) -> None:
    config("no section\n")
    with (tmp_path / "policy.json").open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe_cli", "policy"],
            check=False,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
