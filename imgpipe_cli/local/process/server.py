"""The local cloud's process: take the lock and the port, set the environment, embed MiniStack, serve, save.

The order matters: MiniStack reads its environment while it is imported, and the environment holds the port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.emulator.environment import prepare
from imgpipe_cli.local.files import LocalFiles, make_folders, write_json
from imgpipe_cli.local.process import log
from imgpipe_cli.local.process.spawn import CANNOT_WRITE
from imgpipe_cli.local.rekognition.endpoint import Analysis, load_analysis
from imgpipe_cli.system import file_io
from imgpipe_cli.system.process_lock import FileLock

if TYPE_CHECKING:
    from imgpipe_cli.local.emulator.private_names import MiniStack
    from imgpipe_cli.local.process.cloud import Cloud

LOGGER = logging.getLogger("imgpipe.local")

# Not 4566: a user's own LocalStack or MiniStack lives there.
USUAL_PORT = 4599

Loader = Callable[[int], Analysis]


def workers() -> int:
    """How many calls are worked on side by side, functions too where no other number is asked for: more than
    this only makes each of them slower."""
    return min(4, os.cpu_count() or 1)


def main(arguments: Sequence[str] | None = None, *, load: Loader | None = None) -> int:
    """Run until stopped; 0, or 1 after writing why to failure.json. load: another analysis (tests)."""
    parser = argparse.ArgumentParser(prog="python -m imgpipe_cli.local")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--port", type=int, default=0, help="this port or none (default: the usual or a free one)"
    )
    parser.add_argument("--older", action="store_true", help="where data is damaged, take what was before")
    parser.add_argument(
        "--concurrency", type=int, help="events worked on at once (default: one a core, at most 4)"
    )
    chosen = parser.parse_args(arguments)
    files = LocalFiles(chosen.folder)
    log.configure()
    lock = FileLock(files.cloud_lock)
    try:
        make_folders(files)
        # The command that starts us may look whether the lock is held at this very moment.
        if not lock.wait(2):
            LOGGER.info("another process already serves this folder")
            return 1
        analysis = load or (lambda workers: load_analysis(workers, files.models))
        _serve(files, chosen.port, chosen.concurrency, analysis, older=chosen.older)
    except Problem as problem:
        LOGGER.error("%s", problem.message)
        return _tell(files, problem)
    except Exception as error:
        LOGGER.exception("the local cloud ended")
        message = f"The local cloud ended: {type(error).__name__}: {error}"
        return _tell(files, Problem("local_failed", message, hint=f"Its log: {files.log}"))
    # The lock is not given back: the system does it when the process is really gone, which `stop` waits for.
    return 0


def _tell(files: LocalFiles, problem: Problem) -> int:
    """Leave word for the command that waits, if only by the exit code."""
    try:
        write_json(files.failure, {"code": problem.code, "message": problem.message, "hint": problem.hint})
    except OSError:
        LOGGER.exception("could not write why")
        return CANNOT_WRITE
    return 1


def _serve(files: LocalFiles, port: int, concurrency: int | None, load: Loader, *, older: bool) -> None:
    # Late: private_names reads the metadata of what is installed.
    from imgpipe_cli.local.emulator.private_names import check_installed
    from imgpipe_cli.local.emulator.private_names import load as load_ministack

    check_installed()
    _sweep(files)
    listener = _listen(files, port)
    port = listener.getsockname()[1]
    prepare(files, port, os.environ, concurrency=concurrency)
    _more_files()

    try:
        # Only now: MiniStack reads its environment while it is imported.
        cloud = embed(files, port, load_ministack(), load, concurrency or workers())
        cloud.load(older=older)
        try:
            asyncio.run(_until_stopped(cloud, listener, files))
        finally:
            cloud.close()
    finally:
        files.cloud.unlink(missing_ok=True)
        _sweep(files)
    LOGGER.info("stopped")


def embed(files: LocalFiles, port: int, ministack: MiniStack, load: Loader, concurrency: int) -> Cloud:
    from imgpipe_cli.local.process.cloud import Cloud

    return Cloud(files, port, ministack, workers=workers(), concurrency=concurrency, load=load)


async def _until_stopped(cloud: Cloud, listener: socket.socket, files: LocalFiles) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.keep_alive_timeout = 75
    # 500 uploads of one client come over a few connections; it would see a cut one as an error.
    config.keep_alive_max_requests = 1_000_000
    config.backlog = 512
    config.graceful_timeout = 5
    _stop_on_signals(cloud.stop)
    housekeeping = asyncio.create_task(_trim_log(files.log))
    try:
        await serve(cloud.asgi, config, shutdown_trigger=cloud.drained)
    finally:
        housekeeping.cancel()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if number := getattr(signal, name, None):
            # Not loop.add_signal_handler: Windows has none.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))


async def _trim_log(path: Path) -> None:
    while True:
        log.trim(path)
        await asyncio.sleep(5)


def _listen(files: LocalFiles, wanted: int) -> socket.socket:
    """A listening socket on loopback, held from now on so that nobody else gets the port."""
    for port in [wanted] if wanted else [_remembered(files), USUAL_PORT, 0]:
        if listener := _bound(port):
            return listener
    raise Problem(
        "port_taken",
        f"Port {wanted} on 127.0.0.1 is taken.",
        hint="Name another port, or none to get a free one.",
    )


def _remembered(files: LocalFiles) -> int:
    try:
        port = int(file_io.read(files.port, at_most=16))
    except (OSError, ValueError):
        return USUAL_PORT
    return port if 0 < port < 65_536 else USUAL_PORT


def _bound(port: int) -> socket.socket | None:
    if port and _answers(port):
        # macOS lets one process listen on 127.0.0.1 and another on every address, with the same port.
        return None
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # There, SO_REUSEADDR would take the port away from whoever has it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError:
        listener.close()
        return None
    return listener


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _sweep(files: LocalFiles) -> None:
    """Remove unpacked functions: MiniStack leaves one folder for every worker that it ever started."""
    shutil.rmtree(files.tmp, ignore_errors=True)
    make_folders(files)
    for folder in (files.root, files.data, files.state, files.older):
        file_io.sweep(folder)


def _more_files() -> None:
    """A burst of uploads opens hundreds of connections; macOS starts with 256 files."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
