"""The journal of what was sent: readable whatever happened to it, bounded, and never in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from imgpipe_cli.pictures.sending import journal
from imgpipe_cli.pictures.sending.journal import Entry, Journal

BUCKET = "demo-uploads"


def entry(number: int) -> Entry:
    return Entry(f"k/{number}", number, f"s{number}", f"t{number}", f"e{number}", f"v{number}")


def written(*numbers: int) -> None:
    kept = Journal(BUCKET)
    for number in numbers:
        kept.write(entry(number))
    kept.close()


def knows(number: int) -> bool:
    return Journal(BUCKET).knows(f"k/{number}", f"s{number}", f"e{number}")


def file(state: Path) -> Path:
    return state / f"sent-{BUCKET}.jsonl"


def test_what_was_written_is_known_by_its_key_its_content_and_its_etag(state: Path) -> None:
    written(1, 2)
    kept = Journal(BUCKET)
    assert knows(1) and knows(2) and not knows(3)
    assert not kept.knows("k/1", "s1", "e2")
    assert not kept.knows("k/1", "s2", "e1")
    assert not Journal("other").knows("k/1", "s1", "e1")


def test_each_line_has_all_that_is_known_of_a_picture(state: Path) -> None:
    written(7)
    assert json.loads(file(state).read_text()) == {
        "key": "k/7",
        "size": 7,
        "source": "s7",
        "sent": "t7",
        "etag": "e7",
        "versionId": "v7",
        "path": "",
    }


def test_it_tells_which_file_is_the_picture_of_a_key(state: Path) -> None:
    odd = os.fsdecode(b"/pics/\xff.jpg")
    kept = Journal(BUCKET)
    assert not kept.has_place("k", odd)
    kept.write(Entry("k", 1, "s", "t", "e", None, odd))
    kept.close()
    assert [one.path for one in Journal(BUCKET).entries()] == [odd]
    assert Journal(BUCKET).has_place("k", odd)
    assert not Journal(BUCKET).has_place("k", "/pics/a.jpg")


def test_a_line_of_an_older_imgpipe_has_no_file(state: Path) -> None:
    written(1)
    line = json.loads(file(state).read_text())
    del line["path"]
    file(state).write_text(json.dumps(line) + "\n")
    assert [(one.key, one.path) for one in Journal(BUCKET).entries()] == [("k/1", "")]


def test_it_is_private(state: Path) -> None:
    written(1)
    assert file(state).stat().st_mode & 0o777 == 0o600


def test_cut_at_any_byte_only_its_last_line_is_lost_and_it_goes_on(state: Path) -> None:
    written(1, 2)
    whole = file(state).read_bytes()
    second = whole.index(b"k/2")
    for length in range(len(whole)):
        file(state).write_bytes(whole[:length])
        written(3)
        assert knows(3), length
        assert knows(1) == (length >= second - len(b'\n{"key": "')), length
        assert not knows(2) or length >= len(whole) - 1, length


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\0", b"[]\n", b'{"key": 1}\n', b"null\n", b"[" * 100_000 + b"\n", b"x" * 100_000 + b"\n"],
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(state: Path, content: bytes) -> None:
    file(state).write_bytes(content)
    assert not knows(1)
    written(1)
    assert knows(1)


def test_it_keeps_the_latest_only(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 1000)
    for number in range(100):
        written(number)
    assert file(state).stat().st_size < 2000
    assert knows(99) and knows(97) and not knows(0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "closed"])
def test_where_it_cannot_be_kept_nobody_is_kept_from_sending(
    state: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "pipe":
        os.mkfifo(file(state))
    elif kind == "folder":
        file(state).mkdir()
    elif kind == "link":
        file(state).symlink_to(tmp_path / "other")
    else:
        monkeypatch.setenv("IMGPIPE_STATE_DIR", "/proc/nowhere")
    written(1)
    assert not knows(1)
    assert not (tmp_path / "other").exists()


def test_it_goes_with_its_bucket(state: Path) -> None:
    written(1)
    journal.forget(BUCKET)
    assert not file(state).exists()
    journal.forget(BUCKET)
