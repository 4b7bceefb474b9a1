"""`imgpipe` as a process of its own that starts within milliseconds: forked from one that has imported all.

What a command does at the start of the interpreter is not seen here; one test for each command, and those of
streams and signals, start real ones. Without fork, as on Windows, all are real.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "imgpipe_cli")
_CAN_FORK = hasattr(os, "fork") and hasattr(socket, "recv_fds")
# What the interpreter reads when it starts.
_AT_START = ("PYTHON", "LANG", "LC_")
_LENGTH = 4


@dataclass(frozen=True)
class Ended:
    """As `subprocess.run` has it."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: bytes | None, timeout_s: float
) -> Ended:
    """Run `imgpipe` with these arguments to its end. Raises subprocess.TimeoutExpired."""
    special = {name: value for name, value in env.items() if name.startswith(_AT_START)}
    another_interpreter = any(os.environ.get(name) != value for name, value in special.items())
    another_code = (cwd / "imgpipe_cli").is_dir()  # `python -m` takes that of the folder that it runs in
    if not _CAN_FORK or another_interpreter or another_code:
        return _really(arguments, env, cwd, stdin, timeout_s)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin or b"")
        given.seek(0)
        code = _parent().command(arguments, env, cwd, (given, out, err), timeout_s)
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read(), err.read())


def _really(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: bytes | None, timeout_s: float
) -> Ended:
    line = [*PROGRAM, *arguments]
    done = subprocess.run(
        line, input=stdin or b"", capture_output=True, env=env, cwd=cwd, timeout=timeout_s, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


# --- in the tests --------------------------------------------------------------------------------


class _Parent:
    """The process that the commands are forked from; it ends with the tests."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="imgpipe-warm-")
        self._socket = os.path.join(self._folder.name, "s")  # noqa: PTH118 - a socket's name is a text
        here = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_process", self._socket],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(here)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", "the process to fork from did not start"

    def command(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        streams: tuple[Any, Any, Any],
        timeout_s: float,
    ) -> int:
        order = json.dumps([list(arguments), dict(env), str(cwd)]).encode("utf-8", "surrogatepass")
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self._socket)
            # Files cannot travel with a message that is cut, so they travel with its length.
            socket.send_fds(line, [len(order).to_bytes(_LENGTH, "big")], [one.fileno() for one in streams])
            line.sendall(order)
            pid = int.from_bytes(_exactly(line, _LENGTH), "big")
            line.settimeout(timeout_s)
            try:
                return int.from_bytes(_exactly(line, _LENGTH), "big", signed=True)
            except TimeoutError as late:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired([*PROGRAM, *arguments], timeout_s) from late

    def end(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


_parents: list[_Parent] = []
_starting = threading.Lock()


def end() -> None:
    """At the end of the tests: what the processes have used is counted from then on."""
    while _parents:
        _parents.pop().end()


def _parent() -> _Parent:
    with _starting:
        if not _parents:
            _parents.append(_Parent())
        return _parents[0]


def _exactly(line: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        some = line.recv(count - len(found))
        assert some, "the process to fork from is gone"
        found += some
    return found


# --- in the process that forks -------------------------------------------------------------------


def _serve(path: str) -> None:
    _load()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        print("ready", flush=True)
        running: dict[int, socket.socket] = {}
        while True:
            # Between two looks at the commands that run: they are ended by many, and nobody else tells.
            asked, _, _ = select.select([listening, sys.stdin], [], [], 0.005 if running else None)
            if sys.stdin in asked:
                return  # the tests are over
            if listening in asked:
                line, _ = listening.accept()
                pid = _begin(line, [listening, *running.values()])
                running[pid] = line
            _tell_ends(running)


def _load() -> None:
    """All that commands import, and the models of the services, so that the forks have them already."""
    import gc

    import boto3

    from imgpipe_cli.commands.program import whole_program
    from imgpipe_cli.render import screen
    from tests.support.faster_emulation import SDK, replace

    for name, replacement in SDK:
        replace(name, replacement)
    session = boto3.Session("none", "none", region_name="us-east-1")
    for service in ("apigatewayv2", "dynamodb", "iam", "lambda", "logs", "s3", "sqs", "ssm", "sts"):
        session.client(service)
    assert whole_program() and screen
    gc.freeze()


def _begin(line: socket.socket, others: Sequence[socket.socket]) -> int:
    length, files, _, _ = socket.recv_fds(line, _LENGTH, 3)
    order = _exactly(line, int.from_bytes(length, "big"))
    pid = os.fork()
    if pid == 0:
        for one in (line, *others):
            one.close()
        arguments, env, cwd = json.loads(order.decode("utf-8", "surrogatepass"))
        _become(arguments, env, cwd, files)
    for number in files:
        os.close(number)
    line.sendall(pid.to_bytes(_LENGTH, "big"))
    return pid


def _become(arguments: list[str], env: dict[str, str], cwd: str, files: Sequence[int]) -> None:
    """Be the command, and never return."""
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        sys.argv = ["imgpipe", *arguments]
        sys.stdin, sys.stdout, sys.stderr = _text(0, "r"), _text(1, "w"), _text(2, "w")
        from imgpipe_cli.__main__ import main

        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(code)


def _text(number: int, mode: str) -> Any:
    raw: Any = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - it stays open to the end
    return io.TextIOWrapper(raw, "utf-8", errors="backslashreplace" if number == 2 else "strict")


def _tell_ends(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        line = running.pop(pid, None)
        if line is not None:
            with line, suppress(OSError):  # who asked may have given up
                line.sendall(os.waitstatus_to_exitcode(status).to_bytes(_LENGTH, "big", signed=True))


if __name__ == "__main__":
    _serve(sys.argv[1])
