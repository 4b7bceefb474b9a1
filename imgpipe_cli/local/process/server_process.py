"""The server process of the local cloud: spawned and waited for, and ended. One command at a time does it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.files import LocalFiles, read_cloud, read_json
from imgpipe_cli.local.process.cloud_client import ask
from imgpipe_cli.local.process.running_cloud import LocalCloud, cloud_of, is_answering
from imgpipe_cli.system.process_lock import FileLock, held
from imgpipe_cli.system.state_dir import unusable

STOP_TIMEOUT_S = 20.0


def start_lock(files: LocalFiles, timeout_s: float) -> FileLock:
    """The lock of whoever starts or ends the server, taken. Raises Problem."""
    lock = FileLock(files.start_lock)
    try:
        taken = lock.wait(timeout_s)
    except OSError as error:
        raise unusable(files.root, error) from error
    if not taken:
        raise Problem(
            "local_busy", "Another command is starting or stopping the local cloud.", hint="Try again."
        )
    return lock


def spawn_server(
    files: LocalFiles,
    port: int | None,
    concurrency: int | None,
    timeout_s: float,
    command: Sequence[str] | None,
    *,
    older: bool,
) -> LocalCloud:
    """Spawn the server and wait until it serves; the caller holds the start lock."""
    from imgpipe_cli.local.emulator.private_names import check_installed
    from imgpipe_cli.local.process import log, spawn

    check_installed()
    if held(files.cloud_lock):
        raise Problem(
            "local_not_answering",
            "The local cloud's process runs but does not answer.",
            hint="Stop it with `imgpipe local stop` and start again.",
        )
    for stale in (files.cloud, files.failure):
        _remove(stale)
    if files.log.exists() and not files.log.is_file():
        raise _in_the_way(files.log)
    log.trim(files.log)
    asked = {"--port": port, "--concurrency": concurrency}
    arguments = [word for name, value in asked.items() if value is not None for word in (name, str(value))]
    arguments += ["--older"] if older else []
    try:
        child = spawn.spawn(files, arguments, command=command or spawn.SERVER)
    except OSError as error:
        raise unusable(files.root, error) from error
    started = time.monotonic()
    while time.monotonic() - started < timeout_s:
        # Written last of all, so what stands there is served.
        if (written := read_cloud(files)) is not None and is_answering(files, written):
            return cloud_of(written)
        if child.poll() is not None:
            break
        time.sleep(0.02)
    else:
        child.kill()
    if child.returncode == spawn.CANNOT_WRITE:
        raise Problem(
            "local_disk_full",
            f"The local cloud cannot write its files in {files.root}.",
            hint="Make room on that disk, or name another folder in IMGPIPE_STATE_DIR.",
        )
    raise _failure(files, log.last_lines(files.log))


def _failure(files: LocalFiles, last_lines: str) -> Problem:
    told = read_json(files.failure, code=str, message=str, hint=str)
    if told is not None:
        return Problem(told["code"], told["message"], hint=told["hint"])
    return Problem(
        "local_not_started",
        f"The local cloud did not start. Its log ends with:\n{last_lines}",
        hint=f"Log: {files.log}",
    )


def end_server(files: LocalFiles) -> bool:
    """End the process that holds the cloud's lock; the caller holds the start lock."""
    from imgpipe_cli.local.process import spawn

    if not held(files.cloud_lock):
        _remove(files.cloud)
        return False
    written = read_cloud(files)
    if written is not None and is_answering(files, written):
        told = None
        with contextlib.suppress(TimeoutError):  # too busy to answer: it is ended below
            token, limit_s = written["token"], STOP_TIMEOUT_S
            told = ask(written["port"], "/_imgpipe/stop", method="POST", token=token, timeout_s=limit_s)
        if told is not None and told.get("why"):
            raise Problem(
                "local_not_saved",
                f"The local cloud cannot save its data: {told['why']}. It goes on, so that nothing is lost.",
                hint=f"Make room for {files.data}, then run imgpipe local stop again.",
            )
    elif written is not None:
        _end(written["pid"], "SIGTERM")  # it saves, as when it is asked to stop
    if not _gone(files, STOP_TIMEOUT_S) and written is not None:
        # The lock is still held, so this pid is still ours. The last snapshot is at most seconds old.
        _end(written["pid"], "SIGKILL")
        _gone(files, 5)
    if written is not None:
        spawn.reap(written["pid"])
    _remove(files.cloud)
    return True


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _in_the_way(path) from error


def _in_the_way(path: Path) -> Problem:
    return Problem(
        "state_dir_unusable",
        f"{path} is in the way of one of imgpipe's own files.",
        hint="Remove it, or name another folder in IMGPIPE_STATE_DIR.",
    )


def _gone(files: LocalFiles, timeout_s: float) -> bool:
    started = time.monotonic()
    while held(files.cloud_lock):
        if time.monotonic() - started > timeout_s:
            return False
        time.sleep(0.02)
    return True


def _end(pid: int, name: str) -> None:
    import signal

    with contextlib.suppress(OSError):
        os.kill(pid, getattr(signal, name, signal.SIGTERM))
