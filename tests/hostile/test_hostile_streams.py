"""Standard streams that are closed, full or no longer read, and a user who wants to leave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import loopback
from tests.support.api_server import FakeApi, item, serving
from tests.support.cli import PROGRAM, Printed, remember
from tests.support.loopback import Handler

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams and signals of POSIX")
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"  # the cursor
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture
def played() -> Iterator[FakeApi]:
    with serving() as api:
        api.store(item("a", labels=[{"Name": "Cat", "Confidence": 99.0}]))
        remember(api.url)
        yield api


def shell(redirections: str, *arguments: str) -> Printed:
    """What is printed, and the exit code, with a stream of the shell's making."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirections}', "bash", *PROGRAM, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | ENVIRONMENT,
    )
    return Printed(done.returncode, done.stdout, done.stderr)


def unread(stream: str, *arguments: str) -> Printed:
    """With a stream whose reader has gone before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    try:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            check=False,
            text=True,
            env=os.environ | ENVIRONMENT,
            timeout=60,
            **streams,
        )
    finally:
        os.close(writing)
    return Printed(done.returncode, done.stdout or "", done.stderr or "")


# --- streams -------------------------------------------------------------------------------------


def test_notes_that_nobody_reads_end_no_work(played: FakeApi) -> None:
    printed = unread("stderr", "result", "a")
    assert printed.code == 0
    assert "Cat" in printed.out


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_result_that_nobody_reads_is_no_error(played: FakeApi, flags: tuple[str, ...]) -> None:
    printed = unread("stdout", "result", "a", *flags)
    assert printed.code == 0
    assert len(printed.err.splitlines()) == 1  # the target


def test_help_that_nobody_reads_is_no_error_also_where_it_was_not_asked_for() -> None:
    for arguments in ((), ("up", "--help")):
        printed = unread("stdout", *arguments)
        assert (printed.code, printed.err) == (0, "")


def test_what_a_change_has_to_say_is_not_lost_without_a_word() -> None:
    printed = unread("stdout", "local", "stop")
    assert printed.code == 1
    assert printed.err == "Error: Standard output cannot be written: Broken pipe.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [("result", "a"), ("result", "a", "--json"), ("list", "--json")])
def test_a_full_disk_is_said_in_one_line(played: FakeApi, arguments: tuple[str, ...]) -> None:
    printed = shell(">/dev/full", *arguments)
    assert printed.code == 1
    target, *told = printed.err.splitlines()
    assert "demo" in target
    assert told == ["Error: Standard output cannot be written: No space left on device."]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_notes_on_a_full_disk_end_no_work(played: FakeApi) -> None:
    assert "Cat" in shell("2>/dev/full", "result", "a").out
    full = shell(">/dev/full", "--help")
    assert (full.code, len(full.err.splitlines())) == (1, 1)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_closed_streams_are_as_good_as_none(played: FakeApi, flags: tuple[str, ...]) -> None:
    printed = shell("2>&-", "result", "a", *flags)
    assert printed.code == 0
    assert "Cat" in printed.out
    for redirections in (">&-", "<&- >&- 2>&-"):
        printed = shell(redirections, "result", "a", *flags)
        assert (printed.code, printed.out) == (0, "")
        assert "Traceback" not in printed.err


# --- leaving -------------------------------------------------------------------------------------


def test_an_interrupt_while_it_is_loading_is_one_too() -> None:
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'imgpipe_cli.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from imgpipe_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | ENVIRONMENT,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "Interrupted.")


@pytest.fixture
def trickling() -> Iterator[tuple[str, threading.Event]]:
    """The URL of a server whose answers never end, and when it was asked."""
    asked, over = threading.Event(), threading.Event()

    class Trickling(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            asked.set()
            with contextlib.suppress(ConnectionError):  # who asked has ended
                self.wfile.write(b" " * 1_000_000)
                while not over.wait(0.5):
                    self.wfile.write(b" ")

        do_POST = do_GET

    with loopback.serving(Trickling) as url:
        yield f"{url}/prod", asked
        over.set()


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, ["Interrupted."]), (signal.SIGTERM, 143, [])],
    ids=["interrupt", "terminate"],
)
def test_calls_that_hang_keep_nobody_who_wants_to_leave(
    trickling: tuple[str, threading.Event], number: signal.Signals, code: int, words: list[str]
) -> None:
    """Several keys are asked for side by side. What does not end is killed, and has not ended by itself."""
    url, asked = trickling
    remember(url)
    with subprocess.Popen(
        [*PROGRAM, "result", "a", "b"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    ) as started:
        assert asked.wait(60)
        started.send_signal(number)
        try:
            out, err = started.communicate(timeout=60)
        finally:
            started.kill()
    assert (started.returncode, out) == (code, "")
    assert err.split()[-1:] == words if words else "Error" not in err
    assert "Traceback" not in err


def test_an_upload_that_is_interrupted_leaves_the_document_it_promised(
    trickling: tuple[str, threading.Event],
) -> None:
    url, asked = trickling
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}
    with subprocess.Popen(
        [*PROGRAM, "upload", "a.jpg", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT | keys | {"AWS_ENDPOINT_URL": url},
    ) as started:
        try:
            assert asked.wait(60)
            started.send_signal(signal.SIGINT)
            printed = Printed(130, *started.communicate(timeout=60))
        finally:
            started.kill()
    assert started.returncode == 130
    assert printed.error == "interrupted"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_cursor_comes_back_whatever_ends_the_command(
    trickling: tuple[str, threading.Event], name: str
) -> None:
    import pty

    number = getattr(signal, name)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "local", "models", "fetch", "yolox-tiny", "--url", trickling[0]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | ENVIRONMENT | {"TERM": "xterm-256color"},
    ) as started:
        os.close(theirs)
        told = b""
        try:
            with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
                while part := os.read(ours, 65536):
                    if HIDE in part and HIDE not in told:
                        started.send_signal(number)
                    told += part
            started.wait(60)
        finally:
            started.kill()
    os.close(ours)
    assert started.returncode == 128 + number
    assert told.rindex(SHOW) > told.rindex(HIDE)
