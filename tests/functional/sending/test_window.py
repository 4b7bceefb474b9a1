"""A bounded part of the pictures is held at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.put import Cancel, Stored
from imgpipe_cli.events import Event, Sent
from imgpipe_cli.pictures.sending.picture import Picture
from imgpipe_cli.pictures.sending.plan import Planned
from imgpipe_cli.pictures.sending.send import FEW, Outcome, send
from imgpipe_cli.pictures.sending.window import OnEnd, Window
from imgpipe_cli.pictures.sources import Source
from tests.functional.sending.conftest import CAT, MB, NAMES, aws, picture, pictures, sent
from tests.support.loopback_s3 import Asked, LoopbackS3

pytestmark = pytest.mark.usefixtures("quick_sending")


def test_the_first_picture_is_stored_before_the_last_one_is_found(s3: LoopbackS3) -> None:
    stored = threading.Event()
    s3.on_stored = lambda _key: stored.set()

    def found() -> Iterator[Planned]:
        yield from pictures(FEW + 2)
        assert stored.wait(60)
        yield picture(FEW + 2)

    assert sent(found()) == Outcome(sent=FEW + 3)


def test_no_more_are_read_ahead_than_the_window_holds(s3: LoopbackS3) -> None:
    read = stored = most = 0

    class Counted(Source):
        def read(self) -> tuple[bytes, int]:
            nonlocal read, most
            read += 1
            most = max(most, read - stored)
            return super().read()

    def emit(event: Event) -> None:
        nonlocal stored
        stored += isinstance(event, Sent)

    many = [Counted(f"{number:04}.jpg", "", data=CAT) for number in range(300)]
    assert send(aws(), NAMES, many, emit) == Outcome(sent=300)
    assert 2 < most <= 129


def test_no_more_bytes_are_read_ahead_than_the_window_holds(s3: LoopbackS3) -> None:
    under_way: list[int] = []
    gate = threading.Lock()
    most = 0

    def begun(_asked: Asked) -> None:
        nonlocal most
        with gate:
            under_way.append(1)
            most = max(most, len(under_way))

    def ended(_key: str) -> None:
        with gate:
            under_way.pop()

    s3.fault, s3.on_stored, s3.keeps = begun, ended, False
    large = CAT + bytes(14 * MB)
    assert sent([Source(f"{number}.jpg", "", data=large) for number in range(8)]) == Outcome(sent=8)
    assert 1 < most <= 4  # of 14 MB each in 64 MB


def test_ctrl_c_before_a_picture_is_counted_leaves_it_under_way() -> None:
    def interrupted(*_what: Any) -> None:
        raise KeyboardInterrupt

    window = Window(interrupted)
    one = Picture(picture(1), 3, b"abc")

    def begin(on_end: OnEnd) -> Cancel:
        on_end(Stored("0", None))
        return lambda: None

    window.add(one, begin)
    with pytest.raises(KeyboardInterrupt):
        window.drain()
    assert window.pictures == [one]
