"""The local cloud that runs: how to reach it, and whether it is the process that its file names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imgpipe_cli.local.files import LocalFiles
from imgpipe_cli.local.process.cloud_client import is_ours
from imgpipe_cli.system.process_lock import held


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


def cloud_of(written: dict[str, Any]) -> LocalCloud:
    """written: what the cloud wrote into its file."""
    return LocalCloud(
        endpoint=f"http://127.0.0.1:{written['port']}",
        access_key_id=written["access_key_id"],
        secret_access_key=written["secret_access_key"],
        account=written["account"],
        region=written["region"],
        pid=written["pid"],
        concurrency=written.get("concurrency"),
    )


def is_answering(files: LocalFiles, written: dict[str, Any]) -> bool:
    """Whether the cloud that wrote this is the process that answers on its port."""
    # Without its process, whoever answers on its port is somebody else, who must not learn a token.
    if not held(files.cloud_lock):
        return False
    try:
        return is_ours(written["port"], written["token"])
    except TimeoutError:
        # Under a burst of pictures an answer may take long; whoever holds the lock is our process and alive.
        return held(files.cloud_lock)
