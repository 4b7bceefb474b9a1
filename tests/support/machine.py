"""A user's machine in a temporary folder: imgpipe as a whole process, pictures, and a plain AWS client."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from PIL import Image

from imgpipe_cli.local.models.catalogue import MODELS
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.running_cloud import LocalCloud
from tests.support import warm_process
from tests.support.cli import ENVELOPE
from tests.support.model_files import model_folder
from tests.support.ports import keep_a_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
IMGPIPE = (sys.executable, "-m", "imgpipe_cli")
# What a process needs to run; nothing of the developer's own AWS or imgpipe settings.
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")


# From outside, a signal may come when the command has ended.
_SIGNALS_ITSELF = """
import os, signal, sys
write = sys.stderr.write
def said(text):
    count = write(text)
    if os.environ["AT"] in text:
        sys.stderr.write = write
        os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
    return count
sys.stderr.write = said
"""


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The one document on stdout."""
        document = json.loads(self.out)
        assert list(document)[:5] == ENVELOPE and document.keys() - ENVELOPE <= {"skipped"}, self
        return dict(document)

    def lines(self) -> list[dict[str, Any]]:
        """One object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Machine:
    """folder: what belongs to this user, the state folder among it."""

    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "home").mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {"HOME": str(self.folder / "home"), "IMGPIPE_STATE_DIR": str(self.state)}
        return {**kept, **own, "IMGPIPE_NO_MODELS": "1", **(extra or {})}

    def take_models(self) -> None:
        """Put the real models in their place, as the first `up --local` does on a user's machine."""
        models = self.state / "models"
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.state.chmod(0o700)
        for model in MODELS:
            if not model.optional:
                shutil.copy(model_folder() / model.file, models)

    def imgpipe(
        self,
        *arguments: str | Path,
        code: int | None = 0,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 120,
    ) -> Done:
        """Run one command line to its end. code: what it must exit with; None: anything."""
        ended = warm_process.run(
            [str(one) for one in arguments],
            env=self.environment(env),
            cwd=cwd or self.folder,
            stdin=stdin,
            timeout_s=timeout_s,
        )
        done = Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
        assert "Traceback" not in done.err, done.err
        assert code is None or done.code == code, f"{arguments}: exit {done.code}\n{done.out}\n{done.err}"
        return done

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command that goes on; `stop_all` ends it if the test does not."""
        process = subprocess.Popen(
            [*IMGPIPE, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(env),
            cwd=self.folder,
            text=True,
            bufsize=1,
        )
        self.running.append(process)
        return process

    def killed_after(self, delay_s: float, *arguments: str) -> None:
        """Start a command and kill it, as `kill -9` or a power cut would."""
        process = self.start(*arguments)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
        process.kill()
        process.communicate()

    def signalled_at(self, words: str, name: str, *arguments: str) -> tuple[int, str, str]:
        """Run a command that gets a signal the moment it says these words on stderr: code, stdout, stderr."""
        own = self.folder / "signalled"
        own.mkdir(exist_ok=True)
        (own / "sitecustomize.py").write_text(_SIGNALS_ITSELF)
        process = self.start(*arguments, env={"PYTHONPATH": str(own), "SIGNAL": name, "AT": words})
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def stop_all(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()
        self.running.clear()

    def cloud(self) -> LocalCloud:
        found = control.running(self.state)
        assert found is not None, "the local cloud of this machine does not run"
        return found

    def finish_events(self) -> None:
        """Wait for the end of all that has begun: a function goes on for a moment once its result is there.

        Its log comes last of all.
        """
        until(self._is_idle, what="every event has ended")

    def _is_idle(self) -> bool:
        queue = control.status(self.state).queue
        return queue is not None and queue["waiting"] == queue["running"] == 0

    def client(self, service: str) -> Any:
        """A boto3 client as the local cloud's administrator."""
        cloud = self.cloud()
        return client(service, cloud.endpoint, cloud.access_key_id, cloud.secret_access_key)

    def local_env(self) -> dict[str, str]:
        """What `imgpipe local env` tells a shell."""
        return {str(k): str(v) for k, v in self.imgpipe("local", "env", "--json").json()["data"].items()}


@functools.cache  # making one takes longer than most calls, and many tests ask until something is there
def client(service: str, endpoint: str, key_id: str, secret: str, *, region: str = "us-east-1") -> Any:
    session: Any = boto3.Session(key_id, secret, region_name=region)
    settings = Config(proxies={}, s3={"addressing_style": "path"}, max_pool_connections=32)
    return session.client(service, endpoint_url=endpoint, config=settings)


@contextlib.contextmanager
def machine_in(folder: Path) -> Iterator[Machine]:
    """A machine whose processes, the local cloud too, are gone at the end."""
    machine = Machine(folder)
    machine.take_models()
    keep_a_port(machine.state)
    try:
        yield machine
    finally:
        machine.stop_all()
        control.stop(machine.state)


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Ctrl-C: the exit code, what is left on stdout, and stderr."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def until(condition: Callable[[], Any], *, what: str, limit_s: float = 120) -> Any:
    """The condition's value once it holds. On a slow machine, too, a test that passes waits less long."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.25)
    return value


def jpeg(number: int, *, side: int = 96) -> bytes:
    """A small picture that differs from that of every other number."""
    image = Image.new("RGB", (side, side), (number % 256, number // 256 % 256, 90))
    for bit in range(16):
        if number >> bit & 1:
            image.paste((255 - 8 * bit, 40, 8 * bit), (bit * 6, 0, bit * 6 + 5, side // 2))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
