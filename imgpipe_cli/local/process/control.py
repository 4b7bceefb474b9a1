"""Start, stop and ask the local cloud: the one face it shows to the rest of imgpipe.

Imports nothing heavy: the cloud is another process, and this side only reads its files and asks its port.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.emulator.not_simulated import NOT_SIMULATED
from imgpipe_cli.local.process.cloud_client import ask, is_ours
from imgpipe_cli.local.process.files import LocalFiles, local_files, make_folders, read_cloud, read_json
from imgpipe_cli.local.process.lock import FileLock, held
from imgpipe_cli.system.state_dir import state_dir as own_folder
from imgpipe_cli.system.state_dir import unusable

if TYPE_CHECKING:
    from imgpipe_cli.local.rekognition.faults import Faults

Condition = Literal["running", "stopped", "ended", "silent"]

# Half a second on a quiet machine; the first start of a fresh installation compiles MiniStack first.
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_TOLD = {"data_bytes", "uptime_s", "memory_bytes", "queue", "capabilities", "projects"}


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud: what a client needs to reach it."""

    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    account: str
    region: str
    pid: int
    concurrency: int | None = None  # of a cloud that an older imgpipe started


@dataclass(frozen=True)
class LocalStatus:
    """What `imgpipe local status` shows; what only a running cloud knows is None without one."""

    cloud: LocalCloud | None
    data_dir: Path
    data_bytes: int
    log_file: Path
    uptime_s: float | None = None
    memory_bytes: int | None = None
    queue: dict[str, int] | None = None
    capabilities: dict[str, Any] | None = None
    projects: tuple[str, ...] | None = None
    faults: dict[str, Any] | None = None
    calls: dict[str, dict[str, int]] | None = None
    version: str | None = None
    disk_trouble: str | None = None
    not_simulated: tuple[str, ...] = NOT_SIMULATED


def running(state_dir: Path | None = None) -> LocalCloud | None:
    """The cloud of this state folder, if it proves that it is the process that wrote the file there.

    So neither a stale file, nor a reused pid or port, nor whoever took the port on purpose is taken for it.
    """
    files = local_files(state_dir)
    written = read_cloud(files)
    return _cloud(written) if written is not None and _answering(files, written) else None


def condition(state_dir: Path | None = None) -> Condition:
    """ended: killed or crashed, not stopped; silent: its process lives and does not answer."""
    files = local_files(state_dir)
    if running(state_dir) is not None:
        return "running"
    if held(files.cloud_lock):
        return "silent"
    return "ended" if os.path.exists(files.cloud) else "stopped"  # noqa: PTH110 (a closed folder is no error)


def start(
    state_dir: Path | None = None,
    *,
    port: int | None = None,
    concurrency: int | None = None,
    older: bool = False,
    timeout_s: float = _START_TIMEOUT_S,
    command: Sequence[str] | None = None,
) -> LocalCloud:
    """Start the cloud, or find the one that runs; two commands at once get the same.

    port: this port or a Problem; without one the last port is used again, else the usual, else a free one.
    older: where data is damaged, go on with the snapshot before it.
    concurrency: so many events are worked on at once, or a Problem; without it one a core, at most 4.
    command: another server program (tests).
    """
    files = local_files(state_dir)
    if cloud := running(state_dir):
        return _as_asked(cloud, port, concurrency)
    if state_dir is None:
        own_folder()  # private from the outset
    make_folders(files)
    lock = _locked(files, timeout_s)
    try:
        # Another command may have started it while we waited.
        found = running(state_dir) or _start(files, port, concurrency, timeout_s, command, older=older)
        return _as_asked(found, port, concurrency)
    finally:
        lock.release()


def stop(state_dir: Path | None = None) -> bool:
    """Save everything and end the cloud; False when none ran. Returns once its process is gone."""
    files = local_files(state_dir)
    if not os.path.isdir(files.root):  # noqa: PTH112
        return False
    lock = _locked(files, _STOP_TIMEOUT_S)
    try:
        return _stop(files)
    finally:
        lock.release()


def save(state_dir: Path | None = None) -> None:
    """Have the cloud write down what it holds now, where it can: a kill then costs none of it."""
    files = local_files(state_dir)
    written = read_cloud(files)
    with contextlib.suppress(TimeoutError):  # busy: it saves by itself within seconds
        if written is not None and _answering(files, written):
            ask(written["port"], "/_imgpipe/save", method="POST", token=written["token"], timeout_s=20)


def status(state_dir: Path | None = None) -> LocalStatus:
    """Everything there is to say about the local cloud, running or not."""
    from imgpipe_cli.local.process.files import size_bytes

    files = local_files(state_dir)
    written = read_cloud(files)
    cloud = _cloud(written) if written is not None and _answering(files, written) else None
    told = None
    if cloud is not None and written is not None:
        with contextlib.suppress(TimeoutError):  # busy: then only what the files say
            told = ask(written["port"], "/_imgpipe/status", token=written["token"], timeout_s=10)
    if told is None or not told.keys() >= _TOLD:
        return LocalStatus(cloud, files.data, size_bytes(files.data), files.log)
    return LocalStatus(
        cloud,
        files.data,
        told["data_bytes"],
        files.log,
        uptime_s=told["uptime_s"],
        memory_bytes=told["memory_bytes"],
        queue=told["queue"],
        capabilities=told["capabilities"],
        projects=tuple(told["projects"]),
        # A cloud that an older imgpipe started, and that still runs, does not tell these.
        faults=told.get("faults"),
        calls=told.get("calls"),
        version=told.get("version"),
        disk_trouble=told.get("disk_trouble") or None,
    )


def turn_faults(faults: Faults, state_dir: Path | None = None) -> dict[str, Any]:
    """Switch these faults of Rekognition on, and all others off; what is on now, and the calls so far.

    Raises Problem where no cloud runs.
    """
    files = local_files(state_dir)
    written = read_cloud(files)
    told = None
    if written is not None and _answering(files, written):
        route, token = "/_imgpipe/faults", written["token"]
        told = ask(written["port"], route, method="POST", token=token, body=asdict(faults))
    if told is None:
        raise not_running()
    return told


def not_running() -> Problem:
    return Problem(
        "local_not_running",
        "The local cloud is not running.",
        hint="Start it with imgpipe local start.",
        exit_code=ExitCode.NOT_SET_UP,
    )


def log_file() -> Path:
    """The log; it may not exist yet."""
    return local_files(None).log


def _cloud(written: dict[str, Any]) -> LocalCloud:
    return LocalCloud(
        endpoint=f"http://127.0.0.1:{written['port']}",
        access_key_id=written["access_key_id"],
        secret_access_key=written["secret_access_key"],
        account=written["account"],
        region=written["region"],
        pid=written["pid"],
        concurrency=written.get("concurrency"),
    )


def _answering(files: LocalFiles, written: dict[str, Any]) -> bool:
    # Without its process, whoever answers on its port is somebody else, who must not learn a token.
    if not held(files.cloud_lock):
        return False
    try:
        return is_ours(written["port"], written["token"])
    except TimeoutError:
        # Under a burst of pictures an answer may take long; whoever holds the lock is our process and alive.
        return held(files.cloud_lock)


def _as_asked(cloud: LocalCloud, port: int | None, concurrency: int | None) -> LocalCloud:
    if port is not None and not cloud.endpoint.endswith(f":{port}"):
        raise Problem(
            "local_running_elsewhere",
            f"The local cloud already runs at {cloud.endpoint}.",
            hint="Stop it first (`imgpipe local stop`) to move it to another port.",
        )
    if concurrency not in (None, cloud.concurrency):
        at_once = f" and works on {cloud.concurrency} events at once" if cloud.concurrency else ""
        raise Problem(
            "local_running_elsewhere",
            f"The local cloud already runs{at_once}.",
            hint=f"Stop it (imgpipe local stop), then imgpipe local start --concurrency {concurrency}.",
        )
    return cloud


def _locked(files: LocalFiles, timeout_s: float) -> FileLock:
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


def _start(
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
        if (written := read_cloud(files)) is not None and _answering(files, written):
            return _cloud(written)
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


def _stop(files: LocalFiles) -> bool:
    """End the process that holds the cloud's lock; the caller holds the start lock."""
    from imgpipe_cli.local.process import spawn

    if not held(files.cloud_lock):
        _remove(files.cloud)
        return False
    written = read_cloud(files)
    if written is not None and _answering(files, written):
        told = None
        with contextlib.suppress(TimeoutError):  # too busy to answer: it is ended below
            token, limit_s = written["token"], _STOP_TIMEOUT_S
            told = ask(written["port"], "/_imgpipe/stop", method="POST", token=token, timeout_s=limit_s)
        if told is not None and told.get("why"):
            raise Problem(
                "local_not_saved",
                f"The local cloud cannot save its data: {told['why']}. It goes on, so that nothing is lost.",
                hint=f"Make room for {files.data}, then run imgpipe local stop again.",
            )
    elif written is not None:
        _end(written["pid"], "SIGTERM")  # it saves, as when it is asked to stop
    if not _gone(files, _STOP_TIMEOUT_S) and written is not None:
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
