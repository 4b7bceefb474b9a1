"""How far an upload is: one line on a terminal, one every ten seconds elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe_cli.events import Arrived, PassedOver, Refused, Sent, Stopped, Unchanged
from imgpipe_cli.render.progress import Progress
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.render.transfer import Transfer, stopped


class Minutes:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _total(files: int, *, is_known: bool = True) -> Any:
    return SimpleNamespace(files=files, size_bytes=files, is_known=is_known)


def _sent(number: int, size_bytes: int = 1024 * 1024) -> Sent:
    return Sent(f"k/{number}", f"{number}", "v", replaced=False, size_bytes=size_bytes)


def test_an_upload_has_a_line_every_ten_seconds_not_one_for_each_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen, clock = Screen(), Minutes()
    screen.progress = Progress(screen, clock)
    screen.progress.transfers(_total(1000))
    for number in range(50):
        clock.now += 0.5
        screen.progress.event(_sent(number))
    assert capsys.readouterr().err.splitlines() == [
        "Sending: 20 of 1,000, 8:10 left, 20 MB, 2 MB/s",
        "Sending: 40 of 1,000, 8:00 left, 40 MB, 2 MB/s",
    ]


def test_the_line_of_an_upload_counts_all_that_becomes_of_files() -> None:
    transfer = Transfer(_total(10, is_known=False), Minutes())
    assert transfer.words == "0 of 10+, 0 B"
    done: Any = {"status": "done"}
    failed: Any = {"status": "failed"}
    for event in (
        _sent(1),
        Unchanged("k/2", "2", "v", 5),
        Refused("3", "corrupt", "It is cut.", ""),
        PassedOver("4"),
        PassedOver(".5", "hidden"),
        Arrived(done),
        Arrived(failed),
    ):
        transfer.take(event)
    assert transfer.done == 4
    assert transfer.words == "4 of 10+, 1 analyzed, 1 failed, 1 refused, 1 skipped, 1 unchanged, 1 MB"


def test_an_upload_that_was_stopped_says_what_was_sent_and_what_was_not() -> None:
    transfer = Transfer(_total(100), Minutes())
    for number in range(30):
        transfer.take(_sent(number))
    assert stopped(Stopped(30, 0, 4), transfer) == (
        "Stopped: 30 pictures sent, 4 under way, some of which may be there, 66 not sent."
    )
    assert stopped(Stopped(1, 2, 0), None) == "Stopped: 1 picture sent, 2 unchanged."
    told = "Stopped: 9 pictures sent, 1 result came, 8 still to come."
    assert stopped(Stopped(9, 0, 0, (1, 8)), None) == told


def test_with_verbose_each_picture_of_an_upload_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(verbose=True)
    screen.progress.transfers(_total(1))
    screen.progress.event(_sent(1))
    assert capsys.readouterr().err == "sent 1 as k/1\n"
