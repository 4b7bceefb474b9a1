"""Noticing complete pictures in a folder, on a clock of our own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from imgpipe_cli.folder_watch import FolderWatch
from imgpipe_cli.sources import Source

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
    assert source.read() == CAT


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


def test_a_picture_of_the_same_size_put_in_its_place_is_a_change(inbox: Path) -> None:
    (inbox / "cat.jpg").write_bytes(CAT)
    watch = _watch(inbox)
    (inbox / "other").write_bytes(CAT)
    os.utime(inbox / "other", ns=(0, (inbox / "cat.jpg").stat().st_mtime_ns))
    (inbox / "other").replace(inbox / "cat.jpg")
    watch.complete(1.0)
    assert _keys(watch.complete(2.0)) == ["inbox/cat.jpg"]


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
