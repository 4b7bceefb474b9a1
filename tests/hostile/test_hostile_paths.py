"""What is named to `imgpipe upload` and is no ordinary file, or does not stay one."""

from __future__ import annotations

import _thread
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.events import Event, Refused
from imgpipe_cli.pictures.sending.picture import Rules
from imgpipe_cli.pictures.sending.plan import Plan
from imgpipe_cli.pictures.sending.send import Outcome, send
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, rows
from tests.hostile.paths import LONGEST, PATHS, UNDECODABLE, PathRow, linux, picture
from tests.hostile.pictures import MAX_BYTES, jpeg, png
from tests.support.cli import NAMES, REGION, Cli, make_bucket, remember, runner

pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    Path("cat.jpg").write_bytes(jpeg())
    remember("http://127.0.0.1:9/prod")
    return runner(capsys)


@pytest.fixture
def bucket() -> Iterator[Any]:
    with mock_aws():
        yield make_bucket(boto3.client("s3", region_name=REGION))


def _keys(bucket: Any) -> list[str]:
    return [entry["Key"] for entry in bucket.list_objects_v2(Bucket=NAMES.bucket).get("Contents", [])]


@rows([row for row in PATHS if row.there()])
def test_what_is_named_is_sent_or_refused(cli: Cli, bucket: Any, row: PathRow) -> None:
    row.make()
    printed = calm(cli("upload", *row.arguments))
    assert printed.code == row.code, printed
    assert _keys(bucket) == sorted(row.sent)
    assert printed.err.count("\nrefused ") == len(row.refused)
    document = cli("upload", "--json", "--force", *row.arguments).document
    codes = [error["code"] for error in document["errors"]]
    assert codes == (["bad_usage"] if row.code == 2 else list(row.refused))
    if row.code != 2:
        assert sorted(one["key"] for one in document["data"]) == sorted(row.sent)


@pytest.mark.skipif(not linux(), reason="names of any bytes")
def test_what_is_put_into_a_watched_folder_follows_the_same_rules(cli: Cli, bucket: Any) -> None:
    """The last of them in the bucket ends the watch, as Ctrl-C does."""
    too_long = "/".join(["x" * 200] * 5) + "/" + LONGEST
    for name in (UNDECODABLE, "cafe\u0301.jpg", too_long, "z.jpg"):
        picture(f"in/{name}")()
    ended = threading.Event()

    def end_once_sent() -> None:
        while "in/z.jpg" not in _keys(bucket):
            if ended.wait(0.1):
                return
        _thread.interrupt_main()

    waiting = threading.Thread(target=end_once_sent)
    waiting.start()
    try:
        printed = calm(cli("watch", "in", "--existing"))
    finally:
        ended.set()
        waiting.join()
    assert printed.code == 130, printed
    assert _keys(bucket) == ["in/caf\u00e9.jpg", "in/z.jpg"]
    assert printed.err.count("refused ") == 2


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
@pytest.mark.parametrize(
    ("start", "refused"), [(b"", "unsupported_format"), (jpeg(), "too_large")], ids=["zeros", "a-picture"]
)
def test_standard_input_without_an_end_is_not_read_to_it(
    cli: Cli, bucket: Any, monkeypatch: pytest.MonkeyPatch, start: bytes, refused: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(_Endless(start))))
    assert cli("upload", "-", "--key=a.jpg", "--json").error == refused


class _Endless(io.RawIOBase):
    """Some bytes, and then zeros for ever: no line of it ends."""

    def __init__(self, start: bytes) -> None:
        super().__init__()
        self._left = start
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._left[: len(buffer)] or bytes(len(buffer))
        self._left = self._left[len(part) :]
        buffer[: len(part)] = part
        self._given += len(part)
        assert self._given < 4 * MAX_BYTES
        return len(part)


# --- files that do not stay as they were ---------------------------------------------------------


def _vanish(path: Path) -> None:
    path.unlink()


def _become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _grow(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)


def _break(path: Path) -> None:
    path.write_bytes(jpeg()[:30])


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "change-vanishes": (_vanish, "unreadable"),
    "change-becomes-a-pipe": (_become_a_pipe, "not_a_file"),
    "change-becomes-a-folder": (_become_a_folder, "unreadable"),
    "change-becomes-empty": (_empty, "unsupported_format"),
    "change-grows-too-large": (_grow, "too_large"),
    "change-is-cut": (_break, "corrupt"),
}


@pytest.mark.parametrize(("change", "refused"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_before_its_turn(
    cli: Cli, bucket: Any, change: Callable[[Path], None], refused: str
) -> None:
    planned = list(Plan(["cat.jpg"]))
    change(Path("cat.jpg"))
    told: list[Event] = []
    aws, rules = Aws(Place(region=REGION)), Rules(convert=False)
    assert send(aws, NAMES, planned, told.append, rules=rules) == Outcome()
    assert [one.code for one in told if isinstance(one, Refused)] == [refused]
    assert _keys(bucket) == []


@pytest.mark.parametrize(
    "change", [_vanish, _empty, _grow, _become_a_folder], ids=["vanishes", "empties", "grows", "replaced"]
)
def test_a_file_that_changes_while_it_is_sent(cli: Cli, bucket: Any, change: Callable[[Path], None]) -> None:
    """What was looked at is what is sent, whole."""
    path, data = Path("cat.jpg"), jpeg()
    path.write_bytes(data)

    class Changing(Aws):
        def call(self, *names: str, **options: Any) -> dict[str, Any]:
            change(path)
            return super().call(*names, **options)

    assert send(Changing(Place(region=REGION)), NAMES, Plan(["cat.jpg"]), _nothing) == Outcome(sent=1)
    assert not path.is_file() or path.read_bytes() != data
    assert bucket.get_object(Bucket=NAMES.bucket, Key="cat.jpg")["Body"].read() == data


def test_a_file_that_is_another_picture_by_then_is_sent_as_it_is(cli: Cli, bucket: Any) -> None:
    planned = list(Plan(["cat.jpg"]))
    Path("cat.jpg").write_bytes(data := png())
    assert send(Aws(Place(region=REGION)), NAMES, planned, _nothing) == Outcome(sent=1)
    stored = bucket.get_object(Bucket=NAMES.bucket, Key="cat.jpg")
    assert (stored["Body"].read(), stored["ContentType"]) == (data, "image/png")


def _nothing(_event: Event) -> None:
    """Nobody is told."""
