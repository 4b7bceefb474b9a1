"""Noticing pictures that are put into a folder, or changed in it, once they are complete.

Looks at the folder again and again instead of asking the system for events: that works the same on
every system, on network drives, and with programs that write a file in pieces.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgpipe_cli.sources import Source, folder

# A file that ends like a picture is complete once it has not changed for this long; one that does not
# (still being copied, or of another kind) is given longer.
_QUIET_S = 1.0
_QUIET_UNFINISHED_S = 10.0
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"


@dataclass
class _State:
    """A file as last seen. since: when it was first seen like this."""

    mark: tuple[int, int, int]
    since: float
    told: bool


class FolderWatch:
    """The files of one folder. Each state of a file is told once."""

    def __init__(self, root: Path, *, now: float, existing: bool = False) -> None:
        """existing: also tell of what is there already."""
        self._root = root
        self._files: dict[str, _State] = {}
        for source, mark in self._scan():
            self._files[source.name] = _State(mark, now, told=not existing)

    def __len__(self) -> int:
        return len(self._files)

    def complete(self, now: float) -> list[Source]:
        """What is new or changed, and complete. Raises OSError when the folder itself is gone."""
        ready = []
        there = set()
        for source, mark in self._scan():
            there.add(source.name)
            state = self._files.get(source.name)
            if state is None or state.mark != mark:
                self._files[source.name] = _State(mark, now, told=False)
            elif not state.told and now - state.since >= self._quiet_s(source):
                state.told = True
                ready.append(source)
        for name in self._files.keys() - there:
            del self._files[name]
        return ready

    def again(self, source: Source) -> None:
        """Tell of this file once more: sending it failed."""
        if source.name in self._files:
            self._files[source.name].told = False

    def _scan(self) -> Iterator[tuple[Source, tuple[int, int, int]]]:
        os.scandir(self._root).close()  # the walk is silent about a folder that is gone
        for source in folder(self._root):
            assert source.path is not None
            try:
                found = source.path.stat()
            except OSError:
                continue  # gone between the listing and the look
            yield source, (found.st_size, found.st_mtime_ns, found.st_ino)

    def _quiet_s(self, source: Source) -> float:
        assert source.path is not None
        try:
            with source.path.open("rb") as file:
                head = file.read(8)
                file.seek(max(0, file.seek(0, os.SEEK_END) - 64))
                tail = file.read()
        except OSError:
            return _QUIET_UNFINISHED_S
        if head.startswith(_JPEG):
            return _QUIET_S if _JPEG_END in tail else _QUIET_UNFINISHED_S
        if head.startswith(_PNG):
            return _QUIET_S if _PNG_END in tail else _QUIET_UNFINISHED_S
        return _QUIET_UNFINISHED_S
