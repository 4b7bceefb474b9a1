"""`imgpipe local`: the cloud on this machine."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.local.process.control import LocalStatus
    from imgpipe_cli.render.screen import Screen


def register(group: typer.Typer) -> None:
    @command(group, "start")
    def start(
        run: Run,
        port: Annotated[
            int | None,
            typer.Option("--port", min=1, max=65535, metavar="PORT", help="Use exactly this port."),
        ] = None,
        older: Annotated[
            bool, typer.Option("--older", help="Where data is damaged, go on with the snapshot before it.")
        ] = False,
        concurrency: Annotated[
            int | None,
            typer.Option(
                "--concurrency",
                min=1,
                max=1000,
                metavar="N",
                help="Work on so many pictures at once (default: one a core, at most 4). Each takes 45 MB.",
            ),
        ] = None,
    ) -> Result:
        """Start the local cloud; pipelines set up earlier are there again."""
        from imgpipe_cli.local.process import control

        with nullcontext() if control.running() else run.screen.progress.busy("starting_local"):
            cloud = control.start(port=port, concurrency=concurrency, older=older)
        data = {
            "endpoint": cloud.endpoint,
            "region": cloud.region,
            "account": cloud.account,
            "pid": cloud.pid,
            "concurrency": cloud.concurrency,
        }
        return Result(data, lambda screen: screen.line(f"The local cloud is running at {cloud.endpoint}."))

    @command(group, "stop")
    def stop() -> Result:
        """Stop the local cloud and keep its data."""
        from imgpipe_cli.local.process import control

        stopped = control.stop()
        words = "Stopped; its data is kept." if stopped else "The local cloud was not running."
        return Result({"stopped": stopped}, lambda screen: screen.line(words))

    @command(group, "status")
    def status() -> Result:
        """Show whether the local cloud runs, what it can do, and what it does not simulate."""
        from imgpipe_cli.local.process import control

        found = control.status()
        running = found.cloud is not None
        return Result(
            data=_status_data(found),
            show=lambda screen: _show_status(screen, found),
            exit_code=ExitCode.DONE if running else ExitCode.NOT_SET_UP,
        )

    @command(group, "logs")
    def logs(
        run: Run,
        follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
        lines: Annotated[
            int, typer.Option("--lines", "-n", min=1, metavar="NUMBER", help="How many of the last lines.")
        ] = 50,
    ) -> Result:
        """Show the local cloud's own log."""
        from imgpipe_cli.local.process import control

        path = control.log_file()
        if not os.path.exists(path):  # noqa: PTH110 (in a closed folder there is none)
            raise Problem("no_log", "The local cloud has not run yet.", hint="imgpipe local start starts it.")
        if not path.is_file():
            raise Problem("no_log", f"{path} is not a file, so it is no log.", hint="Remove it.")
        _print_log(run, path, lines, follow=follow)
        return Result(streamed=True)

    @command(group, "env")
    def env() -> Result:
        """Print what `aws` and boto3 need to reach the local cloud: eval "$(imgpipe local env)"."""
        from imgpipe_cli.local.process import client_env, control

        cloud = control.running()
        if cloud is None:
            raise control.not_running()
        values = client_env.env(cloud)
        return Result(values, lambda screen: screen.line("\n".join(_exports(values)), exact=True))


def _exports(values: dict[str, str]) -> list[str]:
    """Lines for PowerShell or a POSIX shell. A profile would win over the keys, and cannot be emptied."""
    if os.name == "nt":
        lines = [f"$env:{name} = '{value}'" for name, value in values.items()]
        return ["Remove-Item Env:AWS_PROFILE -ErrorAction SilentlyContinue", *lines]
    return ["unset AWS_PROFILE", *(f"export {name}={shlex.quote(value)}" for name, value in values.items())]


def _status_data(found: LocalStatus) -> dict[str, Any]:
    data = asdict(found)
    cloud = data.pop("cloud")
    if cloud is not None:
        cloud.pop("secret_access_key")  # `local env` is the one command that prints it
        cloud.pop("access_key_id")
    return {
        "running": cloud is not None,
        **(cloud or {}),
        **{name: str(value) if isinstance(value, Path) else value for name, value in data.items()},
    }


def _show_status(screen: Screen, found: LocalStatus) -> None:
    from imgpipe_cli.render import faults
    from imgpipe_cli.render.text import count, seconds, size

    cloud = found.cloud
    screen.line(f"Running at {cloud.endpoint} (process {cloud.pid})" if cloud else "Not running")
    if found.uptime_s is not None and found.memory_bytes is not None:
        screen.line(f"  since       {seconds(found.uptime_s)} ago, memory {size(found.memory_bytes)}")
    if found.queue:
        screen.line("  events      " + ", ".join(f"{number} {name}" for name, number in found.queue.items()))
    if found.projects is not None:
        screen.line(f"  pipelines   {', '.join(found.projects) or 'none'}")
    if cloud is not None:
        faults.show(screen, found.faults, found.calls)
    screen.line(f"  data        {found.data_dir} ({size(found.data_bytes)})")
    if found.disk_trouble:
        screen.line(f"  disk        nothing more can be kept: {found.disk_trouble}")
    screen.line(f"  log         {found.log_file}")
    for line in _capability_lines(found.capabilities or {}):
        screen.line(f"  {line}")
    screen.line(f"Not simulated ({count(len(found.not_simulated), 'point')}):")
    for point in found.not_simulated:
        screen.line(f"  - {point}")


def _capability_lines(capabilities: dict[str, Any]) -> Iterator[str]:
    """What each operation does and cannot do, or why nothing can be said yet."""
    if "unavailable" in capabilities:
        yield f"analysis    {capabilities['unavailable']}"
    for operation, what in capabilities.get("operations", {}).items():
        yield operation
        for name in ("does", "cannot", "omits", "model"):
            if what.get(name):
                value = what[name]
                yield f"  {name:<8} {', '.join(value) if isinstance(value, list) else value}"
    for name, limit in capabilities.get("limits", {}).items():
        yield f"limit {name}: {limit}"


def _print_log(run: Run, path: Path, lines: int, *, follow: bool) -> None:
    def show(line: str) -> None:
        if run.options.json:
            run.screen.json_line({"message": line.rstrip("\n")})
        else:
            run.screen.line(line.rstrip("\n"), exact=True)

    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file.readlines()[-lines:]:
            show(line)
        while follow:
            line = file.readline()
            if line:
                show(line)
            else:
                time.sleep(0.3)
                if path.stat().st_size < file.tell():
                    file.seek(0)  # the log was cut
