"""Results go to stdout, wherever that leads, while progress moves on the terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from imgpipe_cli.render.screen import Screen

Moving = Callable[[Screen], None]


def sending(screen: Screen) -> None:
    screen.progress.transfers(SimpleNamespace(files=3, size_bytes=30, is_known=True))


def waiting(screen: Screen) -> None:
    screen.progress.waiting(3)


@pytest.mark.parametrize("moving", [sending, waiting])
def test_results_of_an_upload_go_into_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving: Moving
) -> None:
    pty = pytest.importorskip("pty")  # not on Windows
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm-256color")
    told = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 65536):
                told.extend(part)
        except OSError:  # Linux's way to say that the other side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    file = tmp_path / "results.txt"
    with (
        file.open("w", encoding="utf-8") as stdout,
        open(theirs, "w", encoding="utf-8") as stderr,  # noqa: PTH123 (a descriptor)
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        screen = Screen()
        assert screen.interactive
        moving(screen)
        screen.line("first")
        screen.line("second")
        screen.close()
        assert sys.stdout is stdout
    reader.join()
    os.close(ours)
    assert file.read_text() == "first\nsecond\n"
    assert b"first" not in told
    assert told  # what moves there
