"""Whether what a caller stores can be kept on the disk.

MiniStack logs a write that fails and answers as if it had not. Here a caller learns it: before anything is
changed where that can be seen (no room, no permission, a limit, a snapshot that failed), else in the answer.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from imgpipe_cli.local.emulator.saved_state import reason
from imgpipe_cli.local.guard.access import Allowed, Asked
from imgpipe_cli.system import file_io

# Actions that leave nothing behind which would have to be kept; all others are taken to.
_NOT_STORING = (
    *("Get", "List", "Describe", "Query", "Scan", "BatchGet", "Filter", "Lookup", "Receive", "Simulate"),
    *("Delete", "Remove", "Untag", "Detach", "Purge", "Disassociate", "ChangeMessage", "Assume", "Start"),
)
# What pictures leave free for their own results: a snapshot is written beside the one that it replaces, that
# one is copied before, and both grow.
_SPARE_SNAPSHOTS, _SPARE_BYTES = 2, 1_000_000
_NO_STORES = frozenset({"kms", "rekognition", "sts", "tagging"})


class Storage:
    """The disk below a folder. unsaved: why the latest snapshot failed, if it did; sizes: the bytes of all of
    its files, and of the largest."""

    def __init__(
        self, folder: Path, *, unsaved: Callable[[], str], sizes: Callable[[], tuple[int, int]]
    ) -> None:
        self._folder = folder
        self._unsaved = unsaved
        self._sizes = sizes
        self._coming = 0
        self._turn = asyncio.Lock()
        self._failures: ContextVar[list[str] | None] = ContextVar("imgpipe_failed_writes", default=None)

    @asynccontextmanager
    async def room_for(self, size: int, *, picture: bool) -> AsyncIterator[str]:
        """Why so many bytes cannot be kept; if they can, they are counted as written from now on. Used on one
        thread, the event loop's."""
        async with self._turn:  # those that look at once would all find the same room
            why = await asyncio.to_thread(self.trouble, size, picture=picture)
            coming = 0 if why else size
            self._coming += coming
        try:
            yield why
        finally:
            self._coming -= coming

    def trouble(self, size: int = 0, *, picture: bool = False) -> str:
        """Why so many bytes, and then the next snapshot, cannot be kept; empty if they can. picture: and the
        results after it."""
        if unsaved := self._unsaved():
            return unsaved
        total, largest = self._sizes()
        spare = _SPARE_SNAPSHOTS * total + _SPARE_BYTES if picture else total
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may have been removed
            if shutil.disk_usage(self._folder).free < spare + self._coming + size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file_io.try_room(self._folder, max(largest, size))
        except OSError as error:
            return reason(error)
        return ""

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """The writes that fail meanwhile: why."""
        failures: list[str] = []
        before = self._failures.set(failures)
        try:
            yield failures
        finally:
            self._failures.reset(before)

    def watch(self, s3: Any) -> None:
        """Learn of the writes of MiniStack's S3 that fail; it only logs them."""
        write, persist = s3._atomic_write, s3._persist_object

        def written(*arguments: Any, **options: Any) -> None:
            try:
                write(*arguments, **options)
            except OSError as error:
                self._note(reason(error))
                raise

        def persisted(bucket: str, key: str, record: Any) -> None:
            persist(bucket, key, record)
            # What is on the disk is no longer in memory.
            if isinstance(record, dict) and record.get("body") is not None:
                self._note("The body could not be written")

        s3._atomic_write, s3._persist_object = written, persisted

    def _note(self, why: str) -> None:
        failures = self._failures.get()
        if failures is not None:
            failures.append(why)


def stores(asked: Asked, allowed: Allowed, body: bytes) -> bool:
    """Whether this request is to leave something behind. What removes or reads may always pass."""
    if asked.method in ("GET", "HEAD", "OPTIONS", "DELETE") or allowed.to in ("own", "api"):
        return False
    service = allowed.signed.service if allowed.signed else "s3"
    if service == "s3":
        return "delete" not in asked.query
    actions = _actions(asked, body)
    if actions:
        return service not in _NO_STORES and not all(name.startswith(_NOT_STORING) for name in actions)
    return not asked.path.endswith("/invocations")


def _actions(asked: Asked, body: bytes) -> list[str]:
    """What the request calls, where its protocol names it."""
    if target := asked.header("x-amz-target"):
        return [target.rpartition(".")[2]]
    is_form = "x-www-form-urlencoded" in asked.header("content-type")
    return parse_qs(body.decode("utf-8", "replace")).get("Action", []) if is_form else []
