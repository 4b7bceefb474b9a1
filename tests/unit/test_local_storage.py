"""What the local cloud says of a disk that cannot keep what is stored, and of which requests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe_cli.local.guard.access import Allowed, Asked, Signed
from imgpipe_cli.local.guard.storage import Storage, stores


def storage(folder: Path, unsaved: str = "", total: int = 0) -> Storage:
    return Storage(folder, unsaved=lambda: unsaved, sizes=lambda: (total, total))


def test_a_disk_with_room_is_no_trouble_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    assert storage(tmp_path, total=1000).trouble(5000) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_that_failed_is_trouble(tmp_path: Path) -> None:
    assert storage(tmp_path, "No space left on device").trouble() == "No space left on device"


def test_more_than_is_free_is_trouble(tmp_path: Path) -> None:
    assert storage(tmp_path).trouble(1 << 60) == "No space left on device"
    assert storage(tmp_path, total=1 << 60).trouble() == "No space left on device"


def test_pictures_leave_room_for_their_results(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    full = storage(tmp_path, total=free - 500_000_000)
    full._sizes = lambda: (free - 500_000_000, 0)
    assert full.trouble(1) == ""
    assert full.trouble(1, picture=True) == "No space left on device"


def test_a_folder_that_cannot_be_written_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert storage(tmp_path / "file").trouble(1)


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    assert storage(tmp_path / "gone").trouble(1) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
def test_what_only_the_write_itself_tells_is_told(tmp_path: Path) -> None:
    """As when something else takes the last room in the meantime."""

    def write(path: str, data: bytes) -> None:
        with Path(path).open("wb") as file:
            file.write(data)

    def persist(_bucket: str, _key: str, record: dict[str, Any]) -> None:
        try:
            s3._atomic_write(record.pop("path"), record["body"])
            record["body"] = None
        except OSError:
            return  # MiniStack logs it, and no more

    s3: Any = SimpleNamespace(_atomic_write=write, _persist_object=persist)
    watching = storage(tmp_path)
    watching.watch(s3)
    with watching.watched() as failures:
        s3._persist_object("bucket", "key", {"path": str(tmp_path / "file"), "body": b"x"})
    assert failures == []
    with watching.watched() as failures:
        s3._persist_object("bucket", "key", {"path": "/dev/full", "body": b"x"})
    assert failures[0] == "No space left on device"
    s3._persist_object("bucket", "key", {"path": "/dev/full", "body": b"x"})  # nobody asked


def asked(method: str, path: str, **headers: str) -> Asked:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Asked.of(method, path.partition("?")[0], path.partition("?")[2].encode(), raw)


def by_target(target: str) -> Callable[[], Asked]:
    return lambda: asked("POST", "/", x_amz_target=target)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("service", "request_", "body", "expected"),
    [
        ("s3", lambda: asked("PUT", "/bucket/key"), b"", True),
        ("s3", lambda: asked("POST", "/bucket/key?uploads"), b"", True),
        ("s3", lambda: asked("POST", "/bucket?delete"), b"", False),
        ("s3", lambda: asked("DELETE", "/bucket/key"), b"", False),
        ("s3", lambda: asked("GET", "/bucket/key"), b"", False),
        ("dynamodb", by_target("DynamoDB_20120810.PutItem"), b"", True),
        ("dynamodb", by_target("DynamoDB_20120810.TransactWriteItems"), b"", True),
        ("dynamodb", by_target("DynamoDB_20120810.CreateTable"), b"", True),
        ("dynamodb", by_target("DynamoDB_20120810.Query"), b"", False),
        ("dynamodb", by_target("DynamoDB_20120810.DeleteTable"), b"", False),
        ("sqs", by_target("AmazonSQS.SendMessage"), b"", True),
        ("sqs", by_target("AmazonSQS.ReceiveMessage"), b"", False),
        ("sqs", lambda: asked("POST", "/", content_type=FORM), b"Action=SendMessage", True),
        ("ssm", by_target("AmazonSSM.PutParameter"), b"", True),
        ("iam", lambda: asked("POST", "/", content_type=FORM), b"Action=CreateRole", True),
        ("iam", lambda: asked("POST", "/", content_type=FORM), b"Action=DeleteRole", False),
        ("sts", lambda: asked("POST", "/", content_type=FORM), b"Action=GetCallerIdentity", False),
        ("lambda", lambda: asked("POST", "/2015-03-31/functions"), b"", True),
        ("lambda", lambda: asked("POST", "/2015-03-31/functions/f/invocations"), b"", False),
        ("rekognition", by_target("RekognitionService.CompareFaces"), b"", False),
    ],
)
def test_only_what_leaves_something_behind_needs_room(
    service: str, request_: Callable[[], Asked], body: bytes, expected: bool
) -> None:
    assert stores(request_(), Allowed("service", Signed("AKIA", service)), body) is expected


def test_a_form_needs_room_and_the_pages_requests_do_not() -> None:
    assert stores(asked("POST", "/bucket"), Allowed("form", bucket="bucket"), b"")
    assert not stores(asked("POST", "/_aws/execute-api/abcd1234/prod/x"), Allowed("api"), b"")
