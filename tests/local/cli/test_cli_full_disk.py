"""`upload` and `local status` on a disk that takes no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imgpipe_cli.local.process import control
from tests.local.cli.conftest import Pipeline
from tests.local.test_cloud_full_disk import STUB, full
from tests.support.machine import Machine, jpeg, machine_in

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="NOT TESTED HERE: only Linux limits the files of a process that runs"
)


def test_upload_names_what_could_not_be_kept_and_sends_the_rest(
    machine: Machine, pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "small.jpg").write_bytes(jpeg(1))
    (tmp_path / "large.jpg").write_bytes(jpeg(2) + bytes(3_000_000))
    with full(machine.cloud().pid, 2_500_000):
        sent = pipeline.imgpipe("upload", tmp_path, "--prefix", "full/", "--json", code=1).json()
    assert [one["key"].rpartition("/")[2] for one in sent["data"]] == ["small.jpg"]
    (error,) = sent["errors"]
    assert error["code"] == "local_disk_full"
    assert error["message"].endswith(
        "large.jpg: The local cloud cannot keep it on this disk: File too large."
    )

    with full(machine.cloud().pid, 100):
        told = pipeline.imgpipe("upload", tmp_path, "--prefix", "full/", "--force", code=1)
        assert "0 sent, 2 refused." in told.out
        shown = machine.imgpipe("local", "status")
    assert "disk        nothing more can be kept: File too large" in shown.out


def test_readers_name_a_disk_that_is_full_when_the_cloud_starts_again(tmp_path: Path) -> None:
    with machine_in(tmp_path) as own:
        control.start(own.state, command=STUB)
        own.imgpipe("up", "--local", "--no-models")
        (tmp_path / "a.jpg").write_bytes(jpeg(1))
        own.imgpipe("upload", "a.jpg", "--wait")
        control.stop(own.state)
        cloud = control.start(own.state, command=STUB)
        with full(cloud.pid, 100):  # the functions cannot even be unpacked
            opened = own.imgpipe("open", "--print", code=1)
            explained = own.imgpipe("explain", "a.jpg", code=1)
    why = "The local cloud cannot write to its disk: File too large."
    hint = f"Hint: Make room for {own.state}/local/data, then run imgpipe open again"
    assert f"Error: {why}\n{hint}" in opened.err
    assert f"Failed: {why}\nNext step: Make room for" in explained.out
