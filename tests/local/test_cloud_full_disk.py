"""The local cloud on a disk that takes no more: who stores something learns it, and what was taken stays.

The limit of a process on the size of its files stands for the full disk: it needs no rights.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.process import control
from tests.support.ports import keep_a_port

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="NOT TESTED HERE: only Linux limits the files of a process that runs"
)
STUB = (sys.executable, "-P", str(Path(__file__).parents[1] / "support/stub_server.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    keep_a_port(tmp_path)
    yield tmp_path
    control.stop(tmp_path)


@contextmanager
def full(pid: int, most_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    import resource

    assert sys.platform == "linux"
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def refused(call: Callable[..., Any], **parameters: Any) -> int:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert "cannot keep it on this disk: File too large" in error.value.response["Error"]["Message"]
    status: int = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_cannot_be_kept_is_refused_and_what_was_taken_is_there_after_a_kill(
    folder: Path, pipelines: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    cloud = control.start(folder, command=STUB)
    pipeline = pipelines(cloud, "full")
    s3, table, queue = (connect(cloud, name) for name in ("s3", "dynamodb", "sqs"))
    s3.put_bucket_versioning(Bucket="full", VersioningConfiguration={"Status": "Enabled"})
    pipeline.put("before.jpg")
    pipeline.wait_for({"before.jpg"})
    url = queue.get_queue_url(QueueName="full-failed")["QueueUrl"]
    item = {"key": {"S": "x"}}

    # A body that does not fit is refused, and is not there; a small one passes.
    until((folder / "local/data/state/dynamodb.json").exists)
    with full(cloud.pid, 1_000_000):
        assert refused(s3.put_object, Bucket="full", Key="large.jpg", Body=b"x" * 1_000_001) == 507
        assert refused(s3.put_object, Bucket="full", Key="before.jpg", Body=b"x" * 1_000_001) == 507
        s3.put_object(Bucket="full", Key="small.jpg", Body=b"x" * 100_000)
    pipeline.wait_for({"before.jpg", "small.jpg"})
    versions = s3.list_object_versions(Bucket="full")["Versions"]
    assert sorted(version["Key"] for version in versions) == ["before.jpg", "small.jpg"]
    assert control.status(folder).disk_trouble is None

    # Where not even the next snapshot can be written, nothing is taken and nothing is forgotten.
    with full(cloud.pid, 100):
        assert refused(table.put_item, TableName="full", Item=item) == 507
        assert refused(queue.send_message, QueueUrl=url, MessageBody="x") == 507
        assert refused(s3.put_object, Bucket="full", Key="tiny.jpg", Body=b"x") == 507
        assert control.status(folder).disk_trouble == "File too large"
        assert refused(s3.delete_object, Bucket="full", Key="small.jpg") == 507  # that needs a marker
        table.delete_item(TableName="full", Key={"key": {"S": "small.jpg"}})  # what removes may pass
        with pytest.raises(Problem) as stopped:
            control.stop(folder)
        assert stopped.value.code == "local_not_saved"
        assert "File too large" in stopped.value.message
        assert control.running(folder) == cloud
    until(lambda: control.status(folder).disk_trouble is None)
    table.put_item(TableName="full", Item=item)

    until(lambda: '"x"' in (folder / "local/data/state/dynamodb.json").read_text())
    os.kill(cloud.pid, signal.SIGKILL)
    os.waitpid(cloud.pid, 0)
    control.start(folder, command=STUB)
    assert pipeline.keys() >= {"before.jpg", "x"}
    assert s3.get_object(Bucket="full", Key="before.jpg")["Body"].read() == b"picture"


def test_a_start_without_any_room_says_so(folder: Path) -> None:
    program = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    with pytest.raises(Problem) as failed:
        control.start(folder, command=(sys.executable, "-c", program, STUB[-1]))
    assert failed.value.code == "local_disk_full"
    assert str(folder) in failed.value.message
