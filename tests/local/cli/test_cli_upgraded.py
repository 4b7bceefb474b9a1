"""A pipeline on the local cloud, made by the release before the index: every command goes on with it.

That release is in the history of the repository; without the history there is nothing to make it with.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgpipe_cli.local.process import control
from imgpipe_cli.local.rekognition.faults import Faults
from tests.local.cli.test_cli_retry_outage import answered, fails_at_once, states
from tests.support import exhaustive
from tests.support.machine import ROOT, Done, Machine, jpeg, machine_in, until

PROJECT = "older"
COUNT = 200
_GIT = shutil.which("git") or "git"
# Runs the older release's server with that release's code, whatever is installed here.
_SERVER = """
import runpy, sys
older = sys.argv.pop(1)
sys.path.insert(0, older)
runpy.run_path(f"{older}/tests/support/stub_server.py", run_name="__main__")
"""


def _git(*arguments: str) -> bytes:
    return subprocess.run([_GIT, *arguments], cwd=ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of the release before the index."""
    try:
        added = _git("log", "--diff-filter=A", "--format=%H", "--", "lambda_src/shared/index_rows.py")
        before = f"{added.split()[-1].decode()}^"
        code = _git("archive", "--format=zip", before, "imgpipe_cli", "lambda_src", "tests/support")
    except (OSError, IndexError, subprocess.CalledProcessError):
        pytest.skip("the history of this repository is not here")
    folder = tmp_path_factory.mktemp("older")
    zipfile.ZipFile(io.BytesIO(code)).extractall(folder)
    return folder


@dataclass(frozen=True)
class Upgraded:
    """A machine on which both releases are installed."""

    machine: Machine
    older: Path

    def now(self, *arguments: str | Path, code: int = 0) -> Done:
        return self.machine.imgpipe(*arguments, "--project", PROJECT, "--local", code=code)

    def then(self, *arguments: str | Path, code: int = 0) -> Done:
        """`python -m` takes the code of the folder that it runs in."""
        return self.machine.imgpipe(
            *arguments, "--project", PROJECT, "--local", code=code, cwd=self.older, timeout_s=240
        )

    @property
    def failed_events(self) -> int:
        sqs = self.machine.client("sqs")
        (url,) = sqs.list_queues(QueueNamePrefix=PROJECT)["QueueUrls"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))


@pytest.fixture(params=["table", exhaustive.only("s3")])
def upgraded(request: pytest.FixtureRequest, older: Path, tmp_path: Path) -> Iterator[Upgraded]:
    """The pipeline as the older release left it: 200 results, of which one failed and its event waits."""
    with machine_in(tmp_path / "machine") as machine:
        server = (sys.executable, "-P", "-c", _SERVER, str(older))
        control.start(machine.state, command=server)
        found = Upgraded(machine, older)
        found.then("up", "--no-models", "--results", request.param)
        folder = tmp_path / "pics"
        folder.mkdir()
        for number in range(COUNT - 1):
            (folder / f"{number}.jpg").write_bytes(jpeg(number))
        found.then("upload", folder, "--wait")
        fails_at_once(machine, f"{PROJECT}-ingest")
        control.turn_faults(Faults(error_percent=100), machine.state)
        (folder / "failed.jpg").write_bytes(jpeg(COUNT))
        found.then("upload", folder / "failed.jpg")
        until(lambda: found.failed_events == 1, what="the event is in the failure queue", limit_s=240)
        control.turn_faults(Faults(), machine.state)
        yield found


@pytest.mark.timeout(900)  # two minutes on two cores that have little else to do
def test_every_command_goes_on_with_it_and_only_the_failed_picture_is_analyzed(upgraded: Upgraded) -> None:
    machine, now = upgraded.machine, upgraded.now
    before = answered(machine)
    with_bytes = f"{len(jpeg(3))} bytes"  # what the cloud of these tests finds in a picture

    assert now("up", "--no-models", "--json").json()["data"]["missing"] == []
    assert len(now("list", "--limit", "0", "--json").lines()) == COUNT
    found = [one["objectKey"] for one in now("find", with_bytes, "--limit", "0", "--json").lines()]
    assert "pics/3.jpg" in found
    assert now("result", "pics/3.jpg", "--json").json()["data"][0]["labels"][0]["Name"] == with_bytes
    now("result", "failed.jpg", code=1)
    assert now("retry", "pics/3.jpg", "--json").json()["data"]["failureQueue"]["taken"] == 0
    assert answered(machine) == before

    assert states(now("retry", "failed.jpg", "--json").json()) == {"failed.jpg": "done"}
    assert (answered(machine), upgraded.failed_events) == (before + 1, 0)
    assert now("retry").out == "Nothing has failed.\n"
    assert now("result", "failed.jpg", "--json").json()["data"][0]["status"] == "done"
    (row,) = now("find", f"{len(jpeg(COUNT))} bytes", "--name", "failed", "--json").lines()
    assert row["objectKey"] == "failed.jpg"

    warned = upgraded.then("up", "--no-models", code=2)
    assert "This imgpipe is older" in warned.err and "needs a confirmation" in warned.err
    assert answered(machine) == before + 1

    assert "Everything is gone" in now("down", "--yes").out
