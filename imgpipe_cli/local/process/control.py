"""Start, stop and ask the local cloud: the one face it shows to the rest of imgpipe.

Imports nothing heavy: the cloud is another process, and this side only reads its files and asks its port.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.emulator.not_simulated import NOT_SIMULATED
from imgpipe_cli.local.files import local_files, make_folders, read_cloud
from imgpipe_cli.local.process.cloud_client import ask
from imgpipe_cli.local.process.running_cloud import LocalCloud, cloud_of, is_answering
from imgpipe_cli.local.process.server_process import STOP_TIMEOUT_S, end_server, spawn_server, start_lock
from imgpipe_cli.system.process_lock import held
from imgpipe_cli.system.state_dir import state_dir as own_folder

if TYPE_CHECKING:
    from imgpipe_cli.local.rekognition.faults import Faults

Condition = Literal["running", "stopped", "ended", "silent"]

# Half a second on a quiet machine; the first start of a fresh installation compiles MiniStack first.
_START_TIMEOUT_S = 60.0
_TOLD = {"data_bytes", "uptime_s", "memory_bytes", "queue", "capabilities", "projects"}


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
    return cloud_of(written) if written is not None and is_answering(files, written) else None


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
    lock = start_lock(files, timeout_s)
    try:
        # Another command may have started it while we waited.
        found = running(state_dir) or spawn_server(files, port, concurrency, timeout_s, command, older=older)
        return _as_asked(found, port, concurrency)
    finally:
        lock.release()


def stop(state_dir: Path | None = None) -> bool:
    """Save everything and end the cloud; False when none ran. Returns once its process is gone."""
    files = local_files(state_dir)
    if not os.path.isdir(files.root):  # noqa: PTH112
        return False
    lock = start_lock(files, STOP_TIMEOUT_S)
    try:
        return end_server(files)
    finally:
        lock.release()


def save(state_dir: Path | None = None) -> None:
    """Have the cloud write down what it holds now, where it can: a kill then costs none of it."""
    files = local_files(state_dir)
    written = read_cloud(files)
    with contextlib.suppress(TimeoutError):  # busy: it saves by itself within seconds
        if written is not None and is_answering(files, written):
            ask(written["port"], "/_imgpipe/save", method="POST", token=written["token"], timeout_s=20)


def status(state_dir: Path | None = None) -> LocalStatus:
    """Everything there is to say about the local cloud, running or not."""
    from imgpipe_cli.local.files import size_bytes

    files = local_files(state_dir)
    written = read_cloud(files)
    cloud = cloud_of(written) if written is not None and is_answering(files, written) else None
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
    if written is not None and is_answering(files, written):
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
