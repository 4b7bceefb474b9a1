"""`upload` and `local status` on a disk that takes no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.local.cli.conftest import Pipeline
from tests.local.cli.machine import Machine, jpeg
from tests.local.test_cloud_full_disk import full

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
        told = pipeline.imgpipe("upload", tmp_path, "--prefix", "full/", code=1)
        assert "0 sent, 2 refused." in told.out
        shown = machine.imgpipe("local", "status")
    assert "disk        nothing more can be kept: File too large" in shown.out
