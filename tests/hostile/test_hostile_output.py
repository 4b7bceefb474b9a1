"""Whatever is stored, logged or named: people's terminals only show it, and JSON has it as it is."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from imgpipe_cli.cli import main
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, harmless
from tests.hostile.object_keys import KEYS
from tests.hostile.pipeline import Pipeline, pipeline
from tests.support.api_server import item, serving
from tests.support.cli import REGION, Cli, remember, runner
from tests.support.picture_heads import jpeg

pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)
STORED = [row.stored for row in KEYS if row.stored is not None]
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202e"


@pytest.fixture(params=["table", "bucket"])
def line(request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    """With a result of every key, hostile in all that a result holds, in either store."""
    with pipeline(request.param) as found:
        found.remember()
        for key in STORED:
            found.cloud.store(key, "2026-11-22T10:00:00.000Z", **_hostile_finds())
        yield found


def _hostile_finds() -> dict[str, object]:
    """What a picture can bring into its own result: text that is read in it, and words of a service."""
    return {
        "features": ["labels", "text", "moderation"],
        "labels": [{"Name": f"Cat{ESCAPES}", "Confidence": 99.0, "Parents": [{"Name": f"Animal{ESCAPES}"}]}],
        "text": [{"DetectedText": f"a{ESCAPES}\r\nb", "Type": "LINE", "Confidence": 99.0}],
        "unavailable": {"moderation": {"code": "x", "message": f"Not here{ESCAPES}"}},
        "models": {"labels": f"1{ESCAPES}"},
    }


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def test_results_of_all_keys_are_only_shown(cli: Cli, line: Pipeline) -> None:
    result = calm(cli("result", "--", *STORED))
    listed = calm(cli("list", "--limit=0"))
    assert (result.code, listed.code) == (0, 0)
    assert result.out.count("Animal") == len(STORED)
    streamed = cli("list", "--limit=0", "--json")
    assert sorted(one["objectKey"] for one in streamed.lines) == sorted(STORED)
    assert {one["text"][0]["DetectedText"] for one in streamed.lines} == {f"a{ESCAPES}\r\nb"}
    harmless(streamed.out)


def test_log_lines_are_only_shown(cli: Cli, line: Pipeline) -> None:
    key = f"a{ESCAPES}\n.jpg"
    logs = boto3.client("logs", region_name=REGION)
    group = "/aws/lambda/imgpipe-ingest"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    messages = (f"plain {key}", json.dumps({"event": key, "key": key}), f"Traceback\n{key}", "{" * 5000)
    at = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": at, "message": message} for message in messages],
    )
    shown = cli("logs", "ingest", "--verbose")
    assert (shown.code, harmless(shown.out).count("plain a")) == (0, 1)
    told = [one["message"] for one in cli("logs", "ingest", "--json").lines]
    assert f"plain {key}" in told


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_a_terminal_is_not_told_what_a_name_says(
    line: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bars move and colors are drawn, too: there, escapes of our own are right, and no others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    name = f"a{ESCAPES}.jpg"
    Path(name).write_bytes(jpeg())
    Path(f"no{name}").write_text("no picture")
    with terminal(monkeypatch) as told:
        assert main(["upload", name, f"no{name}", f"gone{name}", "--wait", "--timeout=0"]) == 1
        assert main(["upload", name, f"--key={STORED[0]}"]) == 0
        assert main(["upload", name]) == 0
        assert main(["result", name]) == 4
        assert main(["result", STORED[0], "--verbose"]) == 0
        assert main(["logs", ESCAPES]) == 2
    assert b"\x1b[" in told  # it was drawn as for a terminal
    assert told.count(b"a\\x1b[2J") >= 5
    for sequence in (b"\x1b[2J", b"\x1b]0;", "\u009b".encode(), "\u202e".encode()):
        assert sequence not in told


def test_a_saved_page_is_named_harmlessly(cli: Cli) -> None:
    with serving() as api:
        remember(api.url)
        assert "e\\x1b]0;X\\x07.html" in calm(cli("open", "--save", "e\x1b]0;X\x07.html")).out


@pytest.fixture
def one_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    with serving() as api:
        api.store(item("my-key", labels=[{"Name": "Cat", "Confidence": 99.0}]))
        remember(api.url)
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_a_terminal_that_obeys_nothing_is_told_text_only(
    one_result: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with terminal(monkeypatch) as told:
        assert main(["result", "my-key"]) == 0
        assert main(["list", "--status", "perhaps"]) == 2
    assert b"Cat" in told
    assert b"\x1b" not in told


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize("size", ["0", "\u00b2", "-1", "20", "9" * 30])
def test_a_terminal_of_any_size_shows_the_results(
    one_result: None, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    for name in ("COLUMNS", "LINES"):
        monkeypatch.setenv(name, size)
    with terminal(monkeypatch) as told:
        assert main(["list"]) == 0
        assert main(["result", "my-key"]) == 0
    assert told.count(b"my-key") == 2


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytearray]:
    """Standard output and error are a terminal; what it was told is complete at the end."""
    import pty

    ours, theirs = pty.openpty()
    told = bytearray()
    reader = threading.Thread(target=_read_all, args=(ours, told))
    reader.start()
    with open(theirs, "w", encoding="utf-8") as stream:  # noqa: PTH123 (a descriptor)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            yield told
        stream.flush()
    reader.join()


def _read_all(descriptor: int, told: bytearray) -> None:
    # Linux's way to say that nobody has the other end any more is an error.
    with contextlib.suppress(OSError):
        while part := os.read(descriptor, 65536):
            told += part
    os.close(descriptor)
