"""`imgpipe upload` as a process that is interrupted, or killed, and run again until it is done."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from tests.support import exhaustive, photos
from tests.support.api_server import FakeApi, failed, item, serving
from tests.support.cli import NAMES, PROGRAM, Printed, process, remember
from tests.support.loopback_s3 import LoopbackS3, loopback_s3
from tests.support.machine import until


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackS3]:
    monkeypatch.chdir(tmp_path)
    for name, value in {"ACCESS_KEY_ID": "AKIDLOOPBACK", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with loopback_s3(NAMES.bucket) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        remember("http://127.0.0.1:9", endpoint=found.url)
        found.keeps = False
        yield found


def folder(count: int) -> list[str]:
    """pics/ with so many small pictures; their keys."""
    head = _small()
    for number in range(count):
        path = Path("pics", f"{number % 7}", f"{number:05}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + b"%d" % number)
    return sorted(path.as_posix() for path in Path("pics").rglob("*.png"))


def _small() -> bytes:
    """A picture of 80 by 80 pixels."""
    content = io.BytesIO()
    Image.new("L", (80, 80)).save(content, "PNG")
    return content.getvalue()


@contextmanager
def uploading(*flags: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*PROGRAM, "upload", "pics", "--yes", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def ended(started: subprocess.Popen[str], *, within_s: float = 60) -> Printed:
    out, err = started.communicate(timeout=within_s)
    return Printed(started.returncode, out, err)


STOPPED = (
    r"^Stopped: (\d+) pictures? sent, (?:(\d+) under way, some of which may be there, )?(\d+) not sent\.$"
)


class Gate:
    """Lets so many be stored at once, and the others wait for it to open."""

    def __init__(self, s3: LoopbackS3, count: int) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._left = count
        self._lock = threading.Lock()
        s3.on_stored = self._stored

    def _stored(self, _key: str) -> None:
        with self._lock:
            self._left -= 1
            left = self._left
        if left <= 0:
            self.reached.set()
            self.opened.wait(60)


def test_ctrl_c_says_what_was_sent_and_how_to_go_on(s3: LoopbackS3) -> None:
    """Also those that S3 has taken, and not answered yet."""
    keys = folder(200)
    gate = Gate(s3, 30)
    with uploading() as started:
        assert gate.reached.wait(60)
        started.send_signal(signal.SIGINT)
        time.sleep(0.1)
        gate.opened.set()
        printed = ended(started)
    assert printed.code == 130, printed.err
    said = re.search(STOPPED, printed.err, re.MULTILINE)
    assert said, printed.err
    assert int(said[1]) + int(said[2] or 0) >= len(s3.keys) >= int(said[1]) > 0
    assert "Pictures that were sent stay: imgpipe upload pics --yes goes on with the rest." in printed.err
    again = process("upload", "pics", "--yes")
    assert (again.code, again.out) == (0, f"{200 - int(said[1])} sent, {said[1]} unchanged.\n") or said[2]
    assert sorted(s3.keys) == keys
    assert {len(versions) for versions in s3.keys.values()} == {1}


def test_ctrl_c_waits_for_no_answer_that_does_not_come(s3: LoopbackS3) -> None:
    """The gate opens only after the program has ended."""
    folder(150)
    gate = Gate(s3, 5)
    with uploading() as started:
        assert gate.reached.wait(60)
        started.send_signal(signal.SIGINT)
        printed = ended(started)
    gate.opened.set()
    assert printed.code == 130
    assert "under way, some of which may be there" in printed.err
    assert "Traceback" not in printed.err


SEEDS = exhaustive.cases(range(20), keep=2)


@pytest.fixture
def api(s3: LoopbackS3) -> Iterator[FakeApi]:
    """The API of a pipeline that gives each stored picture its result, or the reason why it has none."""
    with serving() as found:
        remember(found.url, endpoint=s3.url)

        def analyze(key: str) -> None:
            number, version = int(Path(key).stem), s3.keys[key][-1].version_id
            at = f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:23]}Z"
            bad = failed(key, retryable=False, version=version, at=at)
            found.store(bad if number % 10 == 3 else item(key, version, at=at))

        s3.on_stored = analyze
        yield found


@pytest.mark.parametrize("flags", [(), ("--json",), ("--quiet",)])
def test_ctrl_c_while_results_are_waited_for_says_how_many_are_to_come(
    s3: LoopbackS3, api: FakeApi, flags: tuple[str, ...]
) -> None:
    """The last four pictures get none."""
    folder(10)
    analyze = s3.on_stored
    s3.on_stored = lambda key: analyze(key) if int(Path(key).stem) < 6 else None
    with uploading("--wait", *flags) as started:
        assert started.stdout is not None
        for _ in range(6 if "--json" in flags else 0):
            started.stdout.readline()
        until(lambda: len(s3.keys) == 10, what="all are sent")
        looks = len(api.asked) + 4
        until(lambda: len(api.asked) >= looks, what="results are waited for")
        started.send_signal(signal.SIGINT)
        printed = ended(started)
    assert printed.code == 130
    pattern = r"^Stopped: 10 pictures sent, (\d+) results? came, (\d+) still to come\.$"
    said = re.search(pattern, printed.err, re.MULTILINE)
    assert said, printed.err
    assert int(said[1]) + int(said[2]) == 10
    assert said[1] == "6" or "--json" not in flags
    assert "goes on with the rest." in printed.err


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_and_run_again_until_done(s3: LoopbackS3, api: FakeApi, seed: int) -> None:
    """No picture is missing, and none has a second version: those under way at the kill are found there. Each
    has its result or its reason, once."""
    count = 20_000 if exhaustive.share.everything else 400
    keys = folder(count)
    chance = random.Random(seed)
    kills = 0
    while True:
        with uploading("--quiet", "--wait", "--report", "out.jsonl") as started:
            _kill_after(started, s3, api, chance.randrange(count // 2))
            printed = ended(started, within_s=1_800)
        if printed.code != -signal.SIGKILL:
            break
        kills += 1
    assert printed.code == 1, printed
    assert kills > 0
    assert sorted(s3.keys) == keys
    assert {len(versions) for versions in s3.keys.values()} == {1}
    lines = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    told = {line["key"]: line for line in lines}
    assert (len(lines), sorted(told)) == (count, keys)
    for key in keys:
        state = "failed" if int(Path(key).stem) % 10 == 3 else "done"
        assert told[key]["state"] == state
        assert state == "done" or told[key]["result"]["error"]["code"] == "throttled"


def _kill_after(started: subprocess.Popen[str], s3: LoopbackS3, api: FakeApi, requests: int) -> None:
    """Kill it once so many more requests have come."""
    enough = len(s3.asked) + len(api.asked) + requests

    def look(_asked: object) -> None:
        if len(s3.asked) + len(api.asked) >= enough:
            started.kill()

    s3.fault = api.before = look


def test_ctrl_c_ends_what_converts_too(
    s3: LoopbackS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process that converts says which one it is, and then never ends by itself."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(
        "import os, pathlib, time\n"
        "from imgpipe_cli.pictures.converting import decoding\n"
        "def decoded(file, kind, before):\n"
        f"    pathlib.Path({str(own)!r}, str(os.getpid())).touch()\n"
        "    time.sleep(600)\n"
        "decoding.decoded = decoded\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(own))
    folder(3)
    for number in range(4):
        Path(f"pics/9{number}.webp").write_bytes(photos.MADE["WebP"](1))
    with uploading() as started:
        until(lambda: len(list(own.glob("[0-9]*"))) >= min(os.cpu_count() or 1, 4), what="all convert")
        until(lambda: len(s3.keys) == 3, what="the others are there")
        started.send_signal(signal.SIGINT)
        printed = ended(started)
    assert printed.code == 130
    said = re.search(STOPPED, printed.err, re.MULTILINE)
    assert said, printed.err
    assert (int(said[1]) + int(said[2] or 0), said[3]) == (3, "4")  # the last answer may not be read yet
    until(lambda: not any(Path("/proc", one.name).exists() for one in own.glob("[0-9]*")), what="all ended")
