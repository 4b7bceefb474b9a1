"""`--include` and `--exclude`: which files of a folder are meant."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Patterns:
    """A file is meant if it matches one of include, or there are none, and none of exclude.

    A pattern without a slash is about the name of a file or folder, one with a slash about the path below the
    folder that was named; `*` stands for slashes too. Upper and lower case are the same.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def means(self, below: str) -> bool:
        """below: the path of a file below the folder that was named, with slashes."""
        return not _any(self.exclude, below) and (not self.include or _any(self.include, below))

    def enters(self, below: str) -> bool:
        """Whether there may be files that are meant in this folder."""
        return not _any(self.exclude, below)


ALL = Patterns()


def _any(patterns: tuple[str, ...], below: str) -> bool:
    path = below.lower()
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in one else name, one.lower()) for one in patterns)
