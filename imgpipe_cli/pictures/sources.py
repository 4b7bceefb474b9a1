"""Which files an argument of `upload` means, and what tells them apart in their keys."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imgpipe_cli.events import PassedOver
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures import keys
from imgpipe_cli.system import file_io

# So many of several are named.
_NAMED = 3
# Enough to tell what is no picture.
_HEAD_BYTES = 64 * 1024
# What has such a name is meant as a picture, whatever is in it.
_PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png"})


def few(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def nothing(_told: object) -> None:
    """For those who do not want to know."""


@dataclass(frozen=True)
class Source:
    """One picture to send. path: None for data that was read from standard input.

    argument: what was named, the file or a folder above it; above: the folders before that.
    found: it was not named, a folder above it was.
    """

    key: str
    name: str
    path: Path | None = None
    data: bytes | None = None
    argument: str = ""
    above: tuple[str, ...] = ()
    found: bool = False

    def read(self, at_most: int | None = None) -> bytes:
        """At most one byte more than a picture may have: enough to see that it is too large."""
        if self.data is not None:
            return self.data
        assert self.path is not None
        return file_io.read(self.path, at_most=at_most or functions.picture.MAX_BYTES + 1)

    def is_beside_pictures(self) -> bool:
        """Whether it only lies in a folder that was named, and is no picture: notes, sidecars, a video."""
        if not self.found or Path(self.name).suffix.lower() in _PICTURE_SUFFIXES:
            return False
        return not functions.picture.is_picture(self.read(_HEAD_BYTES))

    def size_bytes(self) -> int:
        """As the file says; 0 where nothing says it."""
        try:
            return self.path.stat().st_size if self.path is not None else 0
        except OSError:
            return 0


def expanded(
    text: str, on_fault: Callable[[OSError], None], on_hidden: Callable[[PassedOver], None]
) -> Iterator[Source]:
    """The files that one argument means: itself, what is below a folder, what a pattern matches."""
    path = Path(text)
    if path.is_dir():
        above = _above(text)
        for source in folder(path, on_fault, on_hidden):
            yield replace(source, argument=text, above=above)
    elif path.exists():
        yield Source(path.name, text, path, argument=text, above=_above(text))
    elif glob.has_magic(text):  # a shell that does not expand patterns, such as Windows'
        for match in sorted(glob.glob(text)):  # noqa: PTH207 - the pattern may be absolute
            yield from expanded(match, on_fault, on_hidden)


def _above(text: str) -> tuple[str, ...]:
    """The folders named before what is named; those of the whole path where it climbs."""
    path = Path(os.path.normpath(text))
    if not path.parts or ".." in path.parts:
        path = Path(os.path.abspath(text))  # noqa: PTH100 - Path has no way that leaves links alone
    return path.parts[1 if path.anchor else 0 : -1]


def folder(
    root: Path,
    on_fault: Callable[[OSError], None] = nothing,
    on_hidden: Callable[[PassedOver], None] = nothing,
) -> Iterator[Source]:
    """The files below a folder. Hidden ones and what is no file (a pipe, a device) are left out, links to
    folders are not followed. on_fault is told of a folder that cannot be read, on_hidden of hidden files."""
    # The name as it was typed, also where it is a link; "." and ".." have the name of what they mean.
    name = Path(os.path.abspath(root)).name  # noqa: PTH100 - Path has no way that leaves links alone
    # A stack of our own: os.walk calls itself for each folder within a folder.
    waiting = [(root, name)]
    while waiting:
        place, key = waiting.pop()
        if _too_long(key):
            # One refusal for all that is below it: the key of none would fit.
            yield Source(key, str(place), place)
            continue
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            on_fault(error)
            continue
        folders = []
        for entry in entries:
            path, below = place / entry.name, f"{key}/{entry.name}" if key else entry.name
            hidden = entry.name.startswith(".")
            if entry.is_dir():
                if not (hidden or entry.is_symlink()):
                    folders.append((path, below))
            elif hidden:
                on_hidden(PassedOver(str(path), "hidden"))
            elif not file_io.is_special(path):
                yield Source(below, str(path), path, found=True)
        waiting += reversed(folders)


def _too_long(key: str) -> bool:
    return len(os.fsencode(keys.composed(key))) > keys.MAX_BYTES


def pictures_of_twins(sources: Sequence[Source], on_passed: Callable[[PassedOver], None]) -> list[Source]:
    """Without what is no picture and has the key of another: several folders may hold a Thumbs.db."""
    twins = {id(source) for source in _twins(sources)}
    kept = []
    for source in sources:
        try:
            beside = id(source) in twins and source.is_beside_pictures()
        except OSError:  # which is told when it is sent
            beside = False
        if beside:
            on_passed(PassedOver(source.name))
        else:
            kept.append(source)
    return kept


def _twins(sources: Sequence[Source]) -> list[Source]:
    """Those whose key another one has, too."""
    shared = Counter(keys.composed(source.key) for source in sources)
    return [source for source in sources if shared[keys.composed(source.key)] > 1]


def told_apart(sources: Sequence[Source]) -> list[Source]:
    """With as many of the folders before each argument as make the keys differ, and no more."""
    levels: Counter[str] = Counter()
    longer = list(sources)
    while True:
        twins = {source.argument: source.above for source in _twins(longer)}
        further = {name for name, above in twins.items() if levels[name] < len(above)}
        if not further:
            return list(sources) if twins else longer
        levels.update(further)
        longer = [
            replace(one, key="/".join((*one.above[len(one.above) - levels[one.argument] :], one.key)))
            for one in sources
        ]
