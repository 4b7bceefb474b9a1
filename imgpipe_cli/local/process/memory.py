"""How much memory the local cloud takes, its function workers included."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def memory_bytes(worker_pids: Iterable[int]) -> int | None:
    """The proportional share (PSS) of this process and its workers, or None where the system does not tell.

    Only Linux tells it per process without another package.
    """
    sizes = [_pss(pid) for pid in (os.getpid(), *worker_pids)]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _pss(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None
