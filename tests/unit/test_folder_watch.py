"""Noticing complete pictures in a folder, on a clock of our own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imgpipe_cli.pictures import folder_watch
from imgpipe_cli.pictures.folder_watch import FolderWatch
from imgpipe_cli.pictures.sources import Source

EXAMPLES = Path(__file__).parents[2] / "examples"
CAT = (EXAMPLES / "cat.jpg").read_bytes()
SIGN = (EXAMPLES / "sign.png").read_bytes()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def _keys(sources: list[Source]) -> list[str]:
    return [source.key for source in sources]


def _watch(inbox: Path, *, existing: bool = False) -> FolderWatch:
    return FolderWatch(inbox, now=0.0, existing=existing)


@pytest.mark.parametrize(("name", "content"), [("cat.jpg", CAT), ("sign.png", SIGN)])
def test_a_new_picture_is_told_once_when_it_is_quiet(inbox: Path, name: str, content: bytes) -> None:
    watch = _watch(inbox)
    (inbox / name).write_bytes(content)
    assert _keys(watch.complete(1.0)) == []
    assert _keys(watch.complete(1.5)) == []
    assert _keys(watch.complete(2.0)) == [f"inbox/{name}"]
    assert _keys(watch.complete(60.0)) == []


def test_a_picture_that_still_grows_is_not_complete(inbox: Path) -> None:
    watch = _watch(inbox)
    for step in range(1, 8):
        (inbox / "cat.jpg").write_bytes(CAT[: step * 1000])
        assert _keys(watch.complete(step * 0.9)) == []
    (inbox / "cat.jpg").write_bytes(CAT)
    assert _keys(watch.complete(10.0)) == []
    (source,) = watch.complete(11.0)
    assert source.read()[0] == CAT


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cat.jpg", CAT[:-2]),
        ("cat.jpg", CAT[:1000]),
        ("sign.png", SIGN[:-8]),
        ("empty.jpg", b""),
        ("notes.txt", b"words"),
    ],
)
def test_what_does_not_end_like_a_picture_gets_more_time(inbox: Path, name: str, content: bytes) -> None:
    watch = _watch(inbox)
    (inbox / name).write_bytes(content)
    watch.complete(1.0)
    assert _keys(watch.complete(10.9)) == []
    assert _keys(watch.complete(11.0)) == [f"inbox/{name}"]
    assert _keys(watch.complete(100.0)) == []


def test_a_changed_picture_is_told_again(inbox: Path) -> None:
    watch = _watch(inbox)
    (inbox / "cat.jpg").write_bytes(CAT)
    watch.complete(1.0)
    assert len(watch.complete(2.0)) == 1
    (inbox / "cat.jpg").write_bytes((EXAMPLES / "coffee.jpg").read_bytes())
    assert _keys(watch.complete(3.0)) == []
    assert _keys(watch.complete(4.0)) == ["inbox/cat.jpg"]


OTHER_CAT = CAT[:-40] + bytes([CAT[-40] ^ 1]) + CAT[-39:]


def _replace(file: Path, content: bytes) -> None:
    """Put another file in its place, with the same times."""
    there = file.stat()
    aside = file.with_name(".aside")
    aside.write_bytes(content)
    os.utime(aside, ns=(there.st_atime_ns, there.st_mtime_ns))
    aside.replace(file)


def test_a_picture_of_the_same_size_and_time_put_in_its_place_is_a_change(inbox: Path) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    _replace(inbox / "cat.jpg", OTHER_CAT)
    watch.complete(1.0)
    assert _keys(watch.complete(2.0)) == ["inbox/cat.jpg"]


def test_another_content_written_over_it_with_its_old_time_is_a_change(inbox: Path) -> None:
    file = inbox / "cat.jpg"
    file.write_bytes(CAT)
    watch = _watch(inbox)
    there = file.stat()
    file.write_bytes(OTHER_CAT)
    os.utime(file, ns=(there.st_atime_ns, there.st_mtime_ns))
    watch.complete(1.0)
    assert _keys(watch.complete(2.0)) == ["inbox/cat.jpg"]


def _touch(file: Path, content: bytes) -> None:
    os.utime(file, (1, 1))


def _write_again(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    os.utime(file, (2, 2))


def _chmod(file: Path, content: bytes) -> None:
    file.chmod(0o600)


SEEMING = pytest.mark.parametrize("seem", [_touch, _write_again, _replace, _chmod])
"""What changes a file's times or its inode, and not what it holds."""


@SEEMING
@pytest.mark.parametrize(("name", "content"), [("cat.jpg", CAT), ("notes.txt", b"words"), ("no.jpg", b"")])
def test_the_same_bytes_are_not_told_again(
    inbox: Path, seem: Callable[[Path, bytes], None], name: str, content: bytes
) -> None:
    watch = _watch(inbox)
    (inbox / name).write_bytes(content)
    watch.complete(1.0)
    assert _keys(watch.complete(12.0)) == [f"inbox/{name}"]
    for now in (20.0, 20.5, 40.0, 400.0, 1000.0):
        seem(inbox / name, content)
        assert _keys(watch.complete(now)) == []
    assert _keys(watch.complete(2000.0)) == []


@SEEMING
def test_what_was_there_already_is_not_told_for_its_times(
    inbox: Path, seem: Callable[[Path, bytes], None]
) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    seem(inbox / "cat.jpg", CAT)
    assert _keys(watch.complete(1.0)) == []
    assert _keys(watch.complete(100.0)) == []


def test_what_was_there_already_is_read_a_part_at_each_look(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "_LEARNED_BYTES", 1)
    names = [f"{number}.jpg" for number in range(3)]
    for name in names:
        (inbox / name).write_bytes(CAT)
    watch = _watch(inbox)
    for now in (1.0, 2.0):
        assert watch.complete(now) == []
    for name in names:
        _touch(inbox / name, CAT)
    assert watch.complete(3.0) == []
    assert watch.complete(100.0) == []


def test_what_changes_before_it_was_read_is_new(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "_LEARNED_BYTES", 0)
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    (inbox / "cat.jpg").write_bytes(OTHER_CAT)
    monkeypatch.setattr(folder_watch, "_LEARNED_BYTES", 1)
    assert watch.complete(1.0) == []
    assert _keys(watch.complete(2.0)) == ["inbox/cat.jpg"]


def test_a_file_whose_inode_differs_at_every_look_is_told_once(inbox: Path) -> None:
    """As on drives that make numbers up."""
    watch = _watch(inbox)
    (inbox / "cat.jpg").write_bytes(CAT)
    told = []
    for half_seconds in range(1, 100):
        told += _keys(watch.complete(half_seconds / 2))
        assert len(told) == (half_seconds >= 3)
        _replace(inbox / "cat.jpg", CAT)
    (inbox / "cat.jpg").write_bytes(CAT[:2] + b"\xff\xfe\0\x04hi" + CAT[2:])
    watch.complete(50.0)
    assert _keys(watch.complete(51.0)) == ["inbox/cat.jpg"]


def test_a_file_whose_inode_differs_and_that_still_changes_is_not_complete(inbox: Path) -> None:
    watch = _watch(inbox)
    (inbox / "cat.jpg").write_bytes(CAT)
    for number in range(1, 20):
        assert watch.complete(number / 2) == []
        _replace(inbox / "cat.jpg", CAT[:-40] + bytes([number]) + CAT[-39:])
    watch.complete(10.0)
    (source,) = watch.complete(11.0)
    assert source.read()[0] == CAT[:-40] + bytes([19]) + CAT[-39:]


def test_a_file_too_large_to_be_sent_is_told_once_for_its_size(inbox: Path) -> None:
    watch = _watch(inbox)
    with (inbox / "big.jpg").open("wb") as file:
        file.write(CAT)
        file.truncate(16 * 1024 * 1024)
    watch.complete(1.0)
    assert len(watch.complete(11.0)) == 1
    _touch(inbox / "big.jpg", b"")
    assert watch.complete(12.0) == []
    assert watch.complete(100.0) == []


def test_a_large_file_is_told_by_its_content_if_it_can_be_converted(inbox: Path) -> None:
    watch = _watch(inbox)
    large = CAT + bytes(16 * 1024 * 1024)
    (inbox / "big.jpg").write_bytes(large)
    (inbox / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + large)
    watch.complete(1.0)
    assert _keys(watch.complete(11.0)) == ["inbox/big.jpg", "inbox/film.mp4"]
    for name in ("big.jpg", "film.mp4"):
        with (inbox / name).open("r+b") as file:
            file.seek(len(large) - 1)
            file.write(b"x")  # as long as before
        os.utime(inbox / name, (200, 200))
    watch.complete(20.0)
    assert _keys(watch.complete(40.0)) == ["inbox/big.jpg"]


def test_what_is_there_already_is_left_alone(inbox: Path) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    assert len(watch) == 1
    assert _keys(watch.complete(100.0)) == []


def test_what_is_there_already_is_told_when_asked_for(inbox: Path) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox, existing=True)
    assert _keys(watch.complete(0.5)) == []
    assert _keys(watch.complete(1.0)) == ["inbox/cat.jpg"]
    assert _keys(watch.complete(100.0)) == []


def test_a_picture_deleted_before_it_was_complete_is_never_told(inbox: Path) -> None:
    watch = _watch(inbox)
    (inbox / "cat.jpg").write_bytes(CAT)
    watch.complete(1.0)
    (inbox / "cat.jpg").unlink()
    assert _keys(watch.complete(100.0)) == []
    assert len(watch) == 0


def test_a_picture_that_comes_back_is_new(inbox: Path) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    (inbox / "cat.jpg").unlink()
    watch.complete(1.0)
    (inbox / "cat.jpg").write_bytes(CAT)
    watch.complete(2.0)
    assert _keys(watch.complete(3.0)) == ["inbox/cat.jpg"]


def test_folders_inside_are_watched_and_hidden_files_are_not(inbox: Path) -> None:
    watch = _watch(inbox)
    (inbox / "sub" / "deep").mkdir(parents=True)
    shutil.copy(EXAMPLES / "cat.jpg", inbox / "sub" / "deep")
    shutil.copy(EXAMPLES / "cat.jpg", inbox / ".cat.jpg.part")
    watch.complete(1.0)
    assert _keys(watch.complete(60.0)) == ["inbox/sub/deep/cat.jpg"]


def test_what_could_not_be_sent_is_told_again(inbox: Path) -> None:
    watch = _watch(inbox)
    (inbox / "cat.jpg").write_bytes(CAT)
    watch.complete(1.0)
    (source,) = watch.complete(2.0)
    watch.again(source)
    assert _keys(watch.complete(2.5)) == ["inbox/cat.jpg"]
    (inbox / "cat.jpg").unlink()
    watch.complete(3.0)
    watch.again(source)
    assert _keys(watch.complete(4.0)) == []


def test_a_folder_that_is_gone_is_an_error_and_nothing_is_told_twice_afterwards(inbox: Path) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    aside = inbox.with_name("aside")
    inbox.rename(aside)
    with pytest.raises(FileNotFoundError):
        watch.complete(1.0)
    aside.rename(inbox)
    assert _keys(watch.complete(100.0)) == []
