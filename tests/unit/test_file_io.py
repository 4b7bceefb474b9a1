"""Files are replaced in one step, and nothing that somebody else put in the way is written through."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")


def test_a_file_is_made_and_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)  # the longest names have no room for an ending
    for content in ("one\n", "日本\n"):
        file_io.write(path, content)
        assert path.read_bytes() == content.encode()
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file_io.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        file_io.write(path, "\ud800")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])
    (tmp_path / "folder" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        file_io.write(tmp_path / "folder", "new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "folder"]


@posix
def test_a_file_is_private_unless_it_is_meant_for_others(tmp_path: Path) -> None:
    file_io.write(tmp_path / "own", "x")
    before = os.umask(0o022)
    try:
        file_io.write(tmp_path / "shown", "x", mode=0o666)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("own", "shown")]
    assert modes == [0o600, 0o644]


@posix
def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("untouched")
    for name in ("page.html", f"page.html.{os.getpid()}", f"page.html.{os.getpid()}.tmp"):
        (tmp_path / name).symlink_to(theirs)
    file_io.write(tmp_path / "page.html", "page")
    assert (theirs.read_text(), (tmp_path / "page.html").read_text()) == ("untouched", "page")
    assert not (tmp_path / "page.html").is_symlink()


def test_no_other_module_makes_files_where_others_may() -> None:
    package = Path(file_io.__file__).parents[1]
    making = re.compile(r"write_text\(|write_bytes\(|O_CREAT|O_TRUNC|\.open\([^)]*\"[wax]b?\"")
    sources = {
        path.relative_to(package).as_posix(): path.read_text("utf-8") for path in package.rglob("*.py")
    }
    found = {name for name, source in sources.items() if making.search(source)}
    in_new_private_folders = {"local/models/package_index.py", "local/rekognition/blazeface.py"}
    # The browser's has a random name that must be new; the user names the report's.
    named = {"pictures/browser.py", "pictures/report.py"}
    assert found == {"system/file_io.py", *named, *in_new_private_folders}


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722, 0o1777])
def test_a_state_folder_that_others_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path))
    for right in (0o700, 0o755):
        tmp_path.chmod(right)
        assert state_dir() == tmp_path
    tmp_path.chmod(mode)
    with pytest.raises(Problem) as refused:
        state_dir()
    assert (refused.value.code, "IMGPIPE_STATE_DIR" in refused.value.hint) == ("state_dir_unusable", True)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_state_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(tmp_path, 65534, 65534)
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path))
    with pytest.raises(Problem):
        state_dir()


@posix
def test_an_own_file_is_never_a_link(tmp_path: Path) -> None:
    os.close(file_io.open_own(tmp_path / "log", os.O_WRONLY | os.O_APPEND))
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        file_io.open_own(tmp_path / "link", os.O_WRONLY | os.O_APPEND)
    assert not (tmp_path / "elsewhere").exists()
