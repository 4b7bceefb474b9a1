"""The local cloud killed while pictures come and go: its next start brings all of them to their end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe_cli.local.process import control
from tests.support.machine import ROOT, Machine, jpeg, machine_in, until

# It ends with the first picture, which goes alone: from outside, a kill may come too late.
_ENDS_THE_CLOUD = """
import os, signal
from imgpipe_cli.aws.object_puts import ObjectPuts
quicken = ObjectPuts.quicken
def ended(puts):
    os.kill(int(os.environ["CLOUD"]), signal.SIGKILL)
    quicken(puts)
ObjectPuts.quicken = ended
"""
STUB = (sys.executable, "-P", str(ROOT / "tests/support/stub_server.py"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as machine:
        control.start(machine.state, command=STUB)
        yield machine


def _stop_and_start(machine: Machine) -> None:
    control.stop(machine.state)
    control.start(machine.state, command=STUB)


def _keys(machine: Machine, project: str) -> set[str]:
    listed = machine.imgpipe("list", "--project", project, "--json", code=None)
    return {str(item["objectKey"]) for item in listed.lines() if "objectKey" in item}


def test_pictures_without_a_result_are_analyzed_and_removed_ones_forgotten(own: Machine) -> None:
    projects = {"tabled": "table", "kept": "s3"}
    (own.folder / "before.jpg").write_bytes(jpeg(1))
    (own.folder / "gone.jpg").write_bytes(jpeg(2))
    for number in range(2):
        (own.folder / f"late{number}.jpg").write_bytes(jpeg(10 + number))
    buckets = {}
    for project, store in projects.items():
        up = own.imgpipe("up", "--local", "--no-models", "--project", project, "--results", store, "--json")
        buckets[project] = up.json()["data"]["bucket"]
        own.imgpipe("upload", "before.jpg", "gone.jpg", "--wait", "--project", project)
    s3 = own.client("s3")
    for bucket in buckets.values():
        s3.delete_object(Bucket=bucket, Key="gone.jpg")
    left = {project: {"before.jpg"} for project in projects}
    until(lambda: {one: _keys(own, one) for one in projects} == left, what="the removals are known")
    own.finish_events()
    _stop_and_start(own)
    assert "sent again" not in (own.state / "local/cloud.log").read_text()

    # Now all at once, and killed before a snapshot tells of any of it.
    s3 = own.client("s3")
    for project, bucket in buckets.items():
        own.imgpipe("upload", *(f"late{number}.jpg" for number in range(2)), "--project", project)
        s3.delete_object(Bucket=bucket, Key="before.jpg")
        s3.put_object(Bucket=bucket, Key="gone.jpg", Body=jpeg(3))  # there again after all
        s3.put_object(Bucket=bucket, Key="folder/", Body=b"")
    cloud = own.cloud()
    os.kill(cloud.pid, signal.SIGKILL)
    os.waitpid(cloud.pid, 0)

    control.start(own.state, command=STUB)
    own.finish_events()
    expected = {"gone.jpg", *(f"late{number}.jpg" for number in range(2))}
    assert {project: _keys(own, project) for project in projects} == dict.fromkeys(projects, expected)
    log = own.state / "local/cloud.log"
    told = log.read_text().count("sent again")
    _stop_and_start(own)
    assert log.read_text().count("sent again") == told, "what is done is not sent again"


@pytest.mark.parametrize("wait", [[], ["--wait"]])
def test_an_upload_whose_cloud_dies_names_it_and_the_way_back(own: Machine, wait: list[str]) -> None:
    own.imgpipe("up", "--local", "--no-models")
    for number in range(20):
        (own.folder / f"{number}.jpg").write_bytes(jpeg(number))
    (own.folder / "sitecustomize.py").write_text(_ENDS_THE_CLOUD)
    cloud = own.cloud()
    env = {"PYTHONPATH": str(own.folder), "CLOUD": str(cloud.pid)}
    upload = own.start("upload", *(f"{number}.jpg" for number in range(20)), *wait, env=env)
    os.waitpid(cloud.pid, 0)
    _, told = upload.communicate(timeout=60)
    assert upload.returncode == 1
    assert told.splitlines()[-2:] == [
        "Error: The local cloud has ended while imgpipe upload ran.",
        "Hint: Start it with imgpipe local start, then run imgpipe upload again.",
    ]


def test_what_up_and_down_have_ended_with_outlives_a_kill_at_once(own: Machine) -> None:
    def killed() -> None:
        cloud = own.cloud()
        os.kill(cloud.pid, signal.SIGKILL)
        os.waitpid(cloud.pid, 0)
        control.start(own.state, command=STUB)

    (own.folder / "a.jpg").write_bytes(jpeg(1))
    for project in ("stays", "goes"):
        own.imgpipe("up", "--local", "--no-models", "--project", project)
    own.imgpipe("upload", "a.jpg", "--project", "stays")
    killed()
    own.finish_events()
    assert own.imgpipe("status", "--project", "stays", "--json").json()["data"]["outputs"]
    assert _keys(own, "stays") == {"a.jpg"}
    own.imgpipe("down", "--yes", "--project", "goes", "--local")
    killed()
    assert control.status(own.state).projects == ("stays",)
