"""Noticing pictures that are put into a folder, or changed in it, once they are complete.

Looks at the folder again and again instead of asking the system for events: that works the same on
every system, on network drives, and with programs that write a file in pieces. What a file holds decides
whether it is new: its times and its inode change without that, on some drives at every look.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.converting import kinds
from imgpipe_cli.pictures.sources import Source, folder

# A file that ends like a picture is complete once it has not changed for this long; one that does not
# (still being copied, or of another kind) is given longer.
_QUIET_S = 1.0
_QUIET_UNFINISHED_S = 10.0
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"
# Of what is there at the start so much is read at each look, to know it again when only its times change.
_LEARNED_BYTES = 32 * 1024 * 1024
_OPENING_BYTES = 64 * 1024  # what opening a file takes, in bytes that could be read meanwhile
# What only seems to change is read more and more seldom, unless its size changes.
_LONGEST_PAUSE_S = 300.0

Mark = tuple[int, int, int, int]


@dataclass
class _State:
    """A file as last seen. since: when it was first seen to hold this; told: what it held when it was told.

    None: not read yet; for `told` of what was there already, and is not to be told, too.
    """

    mark: Mark
    since: float
    content: bytes | None
    told: bytes | None
    read_again: float = 0.0
    pause_s: float = 0.0


_NOTHING = b""  # of `told`: never told


class FolderWatch:
    """The files of one folder. Each content of a file is told once."""

    def __init__(self, root: Path, *, now: float, existing: bool = False) -> None:
        """existing: also tell of what is there already."""
        self._root = root
        self._files: dict[str, _State] = {}
        self._unread: deque[Source] = deque()
        for source, mark in self._scan():
            self._files[source.name] = _State(mark, now, None, _NOTHING if existing else None)
            if not existing:
                self._unread.append(source)
        self._learn()

    def __len__(self) -> int:
        return len(self._files)

    def complete(self, now: float) -> list[Source]:
        """What is new or changed, and complete. Raises OSError when the folder itself is gone."""
        ready = []
        there = set()
        for source, mark in self._scan():
            there.add(source.name)
            state = self._files.get(source.name)
            if state is None:
                self._files[source.name] = _State(mark, now, _content(source, mark), _NOTHING)
                continue
            if mark != state.mark:
                _look_inside(state, source, mark, now)
            quiet_s = now - state.since
            if state.content != state.told and quiet_s >= _enough_s(source) and _is_still(state, source, now):
                state.told = state.content
                ready.append(source)
        for name in self._files.keys() - there:
            del self._files[name]
        self._learn()
        return ready

    def again(self, source: Source) -> None:
        """Tell of this file once more: sending it failed."""
        if source.name in self._files:
            self._files[source.name].told = _NOTHING

    def _learn(self) -> None:
        """Read some of what was there at the start."""
        left = _LEARNED_BYTES
        while self._unread and left > 0:
            source = self._unread.popleft()
            state = self._files.get(source.name)
            # What has changed since is new, whatever it held before.
            if state is not None and state.content is None and _mark(source) == state.mark:
                state.content = state.told = _content(source, state.mark)
                left -= state.mark[0] + _OPENING_BYTES

    def _scan(self) -> Iterator[tuple[Source, Mark]]:
        os.scandir(self._root).close()  # the walk is silent about a folder that is gone
        for source in folder(self._root):
            # None: gone between the listing and the look
            if isinstance(source, Source) and (mark := _mark(source)) is not None:
                yield source, mark


def _mark(source: Source) -> Mark | None:
    """What changes with a file's content, and at times without it."""
    assert source.path is not None
    try:
        found = source.path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _content(source: Source, mark: Mark) -> bytes | None:
    """What it holds, in short; of what is too large to be sent, only how much. None: it cannot be read."""
    try:
        if mark[0] > functions.picture.MAX_BYTES and not _is_converted(source, mark[0]):
            return str(mark[0]).encode()
        return source.sha256(kinds.MAX_FILE_BYTES)
    except OSError:
        return None


def _is_converted(source: Source, size_bytes: int) -> bool:
    """Whether a JPEG is made of it. Raises OSError."""
    return size_bytes <= kinds.MAX_FILE_BYTES and kinds.kind_of(source.head()) is not None


def _look_inside(state: _State, source: Source, mark: Mark, now: float) -> None:
    """Find out whether it has really changed."""
    if mark[0] == state.mark[0] and now < state.read_again:
        return
    content = _content(source, mark)
    if content == state.content:
        state.pause_s = min(max(1.0, state.pause_s * 2), _LONGEST_PAUSE_S)
        state.read_again = now + state.pause_s
    else:
        state.since, state.pause_s, state.read_again = now, 0.0, 0.0
    state.mark, state.content = mark, content


def _is_still(state: _State, source: Source, now: float) -> bool:
    """Whether it holds what it held; otherwise it is given time anew."""
    content = _content(source, state.mark)
    changed = state.content not in (None, content)
    state.content = content
    if changed:
        state.since = now
    return not changed


def _enough_s(source: Source) -> float:
    """For how long it must not have changed."""
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
