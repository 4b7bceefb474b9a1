"""Which files an argument of `upload` means, and what tells them apart in their keys."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imgpipe_cli.events import PassedOver
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.patterns import ALL, Patterns
from imgpipe_cli.system import file_io

NAMED = 3
"""So many of several are named."""

HEAD_BYTES = 64 * 1024
"""Enough to tell what a file is."""

# What has such a name is meant as a picture, whatever is in it.
_PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png"})


def few(names: Sequence[str], number: int | None = None) -> str:
    """The first of them, and how many more there are. number: of all, where names lacks the later ones."""
    number = len(names) if number is None else number
    more = f" and {number - NAMED:,} more" if number > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@dataclass(frozen=True)
class Source:
    """One picture to send. path: None for data that was read from standard input.

    argument: what was named, the file or a folder above it; above: the folders before that.
    found: it was not named, a folder above it was. twin: another file of its folder, whose name looks the
    same. is_key_named: the key is not made of the name.
    """

    key: str
    name: str
    path: Path | None = None
    data: bytes | None = None
    argument: str = ""
    above: tuple[str, ...] = ()
    found: bool = False
    twin: str = ""
    is_key_named: bool = False

    @property
    def place(self) -> str:
        """Its path from the root on; "" for standard input."""
        return os.path.abspath(self.path) if self.path is not None else ""  # noqa: PTH100 - links stay

    def read(self) -> tuple[bytes, int]:
        """Its bytes, or the first ones where it has more than a picture may have; and how many it has.

        Raises OSError.
        """
        if self.data is not None:
            return self.data, len(self.data)
        assert self.path is not None
        # One byte more shows that a file which is growing has become too large.
        return file_io.read_or_head(self.path, at_most=functions.picture.MAX_BYTES + 1, head=HEAD_BYTES)

    def head(self) -> bytes:
        """Enough to tell what it is. Raises OSError."""
        if self.data is not None:
            return self.data[:HEAD_BYTES]
        assert self.path is not None
        return file_io.read(self.path, at_most=HEAD_BYTES)

    def sha256(self, at_most: int) -> bytes:
        """Of all of it. Raises OSError."""
        if self.data is not None:
            return hashlib.sha256(self.data).digest()
        assert self.path is not None
        return file_io.sha256(self.path, at_most=at_most)

    def is_beside_pictures(self) -> bool:
        """Whether it only lies in a folder that was named, and is no picture: notes, sidecars, a video.

        Raises OSError.
        """
        if not self.found or os.path.splitext(self.name)[1].lower() in _PICTURE_SUFFIXES:  # noqa: PTH122 - once for each file
            return False
        return not functions.picture.is_picture(self.head())

    def size_bytes(self) -> int:
        """As the file says; 0 where nothing says it."""
        try:
            return self.path.stat().st_size if self.path is not None else 0
        except OSError:
            return 0


Found = Source | PassedOver | OSError
"""What a walk comes upon: a file to send, one that nobody meant, a folder that cannot be read."""


@dataclass(frozen=True)
class Argument:
    """What one word of the command line means. path: None for nothing; above: the folders named before it."""

    text: str
    path: Path | None
    is_folder: bool = False
    above: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """With which its keys begin, or which is the key."""
        assert self.path is not None
        return _own_name(self.path) if self.is_folder else self.path.name

    def walk(self, patterns: Patterns = ALL) -> Iterator[Found]:
        assert self.path is not None
        if not self.is_folder:
            yield Source(self.path.name, self.text, self.path, argument=self.text, above=self.above)
            return
        yield from folder(self.path, patterns, self)


def arguments(text: str) -> Iterator[Argument]:
    """The file or folder of this name, or what a pattern matches. Raises OSError."""
    path = Path(text)
    if path.is_dir():
        yield Argument(text, path, is_folder=True, above=_above(text))
    elif path.exists():
        yield Argument(text, path, above=_above(text))
    elif glob.has_magic(text):  # a shell that does not expand patterns, such as Windows'
        for match in sorted(glob.glob(text)):  # noqa: PTH207 - the pattern may be absolute
            yield from arguments(match)


def _above(text: str) -> tuple[str, ...]:
    """The folders named before what is named; those of the whole path where it climbs."""
    path = Path(os.path.normpath(text))
    if not path.parts or ".." in path.parts:
        path = Path(os.path.abspath(text))  # noqa: PTH100 - Path has no way that leaves links alone
    return path.parts[1 if path.anchor else 0 : -1]


def _own_name(folder: Path) -> str:
    """As it was typed, also where it is a link; "." and ".." have the name of what they mean."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100 - Path has no way that leaves links alone


def folder(root: Path, patterns: Patterns = ALL, argument: Argument | None = None) -> Iterator[Found]:
    """The files below a folder, in the order of their keys; only names of the folders that the walk is in
    are kept. argument: that means this folder.

    Hidden files are passed over, and so are links to files outside of the folder. Links to folders, and what
    is no file (a pipe, a device), are left out.
    """
    inside = os.path.realpath(root)
    # A stack of our own: a function would call itself for each folder within a folder.
    levels: list[_Level] = []
    try:
        levels.append(_Level.of(str(root), _own_name(root), argument or Argument("", root)))
    except OSError as error:
        yield error
    while levels:
        level = levels[-1]
        if not level.names:
            levels.pop()
            continue
        name = level.names.pop()
        if not name.endswith("/"):
            yield from level.file(name, patterns, inside)
        elif name in level.odd:
            # It may lead round in circles. What it leads to in here is found without it.
            if patterns.enters(level.below + name[:-1]) and _leads_out(Path(level.place, name[:-1]), inside):
                yield PassedOver(str(Path(level.place, name[:-1])), "link")
        elif name in level.twins or _too_long(level.key + name[:-1]):
            # One refusal for all that is below it: the key of none would fit.
            yield level.source(name[:-1], twin=level.twins.get(name, ""))
        elif patterns.enters(level.below + name[:-1]):
            try:
                place = os.path.join(level.place, name[:-1])  # noqa: PTH118 - once for each file
                levels.append(_Level.of(place, level.key + name[:-1], level.argument, level.below + name))
            except OSError as error:
                yield error


@dataclass
class _Level:
    """A folder that the walk is in.

    names: those still to come, the next one last; a folder's with a slash. odd: those of links, and of what
    may be no file. twins: a name -> one before it that looks the same. key, below: before each name.
    """

    place: str
    key: str
    argument: Argument
    below: str
    names: list[str]
    odd: frozenset[str]
    twins: dict[str, str]

    @classmethod
    def of(cls, place: str, key: str, argument: Argument, below: str = "") -> _Level:
        """Raises OSError."""
        names, odd = [], []
        linked: list[str] = []
        with os.scandir(place) as entries:
            for entry in entries:
                if not entry.is_dir():
                    names.append(entry.name)
                    if not entry.is_file(follow_symlinks=False):
                        odd.append(entry.name)
                elif not entry.name.startswith("."):
                    (linked if entry.is_symlink() else names).append(f"{entry.name}/")
        names.sort(key=os.fsencode, reverse=True)
        twins = _same_looks(names)
        names = sorted([*names, *linked], key=os.fsencode, reverse=True)
        key = f"{key}/" if key else ""
        return cls(place, key, argument, below, names, frozenset([*odd, *linked]), twins)

    def file(self, name: str, patterns: Patterns, inside: str) -> Iterator[Found]:
        """What is told of one file; inside: the folder that was named."""
        if name.startswith("."):
            yield PassedOver(str(Path(self.place, name)), "hidden")
        elif not patterns.means(self.below + name):
            return
        elif name in self.odd and _leads_out(Path(self.place, name), inside):
            yield PassedOver(str(Path(self.place, name)), "link")
        elif not (name in self.odd and file_io.is_special(Path(self.place, name))):
            yield self.source(name, found=True, twin=self.twins.get(name, ""))

    def source(self, name: str, *, found: bool = False, twin: str = "") -> Source:
        path = Path(self.place, name)
        other = str(Path(self.place, twin)) if twin else ""
        return Source(
            self.key + name,
            str(path),
            path,
            argument=self.argument.text,
            above=self.argument.above,
            found=found,
            twin=other,
        )


def _same_looks(names: Sequence[str]) -> dict[str, str]:
    """Systems may keep two names that differ only in how their letters are composed; a key is always in
    NFC."""
    first: dict[str, str] = {}
    return {
        name: before
        for name in reversed(names)
        if not name.isascii() and (before := first.setdefault(keys.composed(name), name)) != name
    }


def _leads_out(path: Path, inside: str) -> bool:
    """Whether it is a link to something outside of this folder."""
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    return os.path.commonpath([inside, target]) != inside if _same_drive(inside, target) else True


def _same_drive(one: str, other: str) -> bool:
    return os.path.splitdrive(one)[0].lower() == os.path.splitdrive(other)[0].lower()


def _too_long(key: str) -> bool:
    return len(os.fsencode(keys.composed(key))) > keys.MAX_BYTES


def pictures_of_twins(sources: Sequence[Source]) -> Iterator[Source | PassedOver]:
    """Passed over is what is no picture and has the key of another: several folders may hold a Thumbs.db."""
    twins = {id(source) for source in _twins(sources)}
    for source in sources:
        try:
            beside = id(source) in twins and source.is_beside_pictures()
        except OSError:  # which is told when it is sent
            beside = False
        yield PassedOver(source.name) if beside else source


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
