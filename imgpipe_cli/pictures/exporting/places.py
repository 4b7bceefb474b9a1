"""Where on this machine the picture of a key lies: as it was sent from here, or in folders that are named."""

from __future__ import annotations

import os
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.sending.journal import Journal

if TYPE_CHECKING:
    from shared.result_item import ResultItem


@dataclass(frozen=True)
class Folder:
    """A folder whose files have keys that begin with this prefix."""

    prefix: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> Folder:
        """Of `PREFIX=FOLDER`. Raises a usage Problem."""
        prefix, sign, folder = text.partition("=")
        path = Path(folder).expanduser()
        if sign and folder and path.is_dir():
            return cls(prefix, path)
        wrong = "is no folder" if sign and folder else "names no folder"
        raise Problem(
            "bad_usage",
            f"--map {text!r}: {folder or 'it'} {wrong}.",
            hint="Write --map 2026/=/home/me/Pictures/2026 for keys such as 2026/cat.jpg.",
            exit_code=ExitCode.USAGE,
        )

    def candidates(self, key: str) -> Iterator[Path]:
        """The files that may be meant; none for a key that would lead out of the folder."""
        if not key.startswith(self.prefix):
            return
        names = key[len(self.prefix) :].lstrip("/").split("/")
        if all(map(_is_name, names)):
            path = self.path.joinpath(*names)
            yield path
            if path.name.endswith(keys.CONVERTED):
                yield path.with_name(path.name.removesuffix(keys.CONVERTED))


def _is_name(text: str) -> bool:
    """Whether it names something within a folder, and nothing else, on this system."""
    if text in ("", ".", "..") or "\0" in text:
        return False
    return os.name != "nt" or not any(char in text for char in '\\/:*?"<>|')


@dataclass(frozen=True)
class Places:
    """folders: asked first, those with the longest prefix before the others."""

    folders: Sequence[Folder]
    sent: Sent

    def of(self, item: ResultItem) -> Path | str:
        """The picture, or a code that says why there is none: not_here, or another_version."""
        key = item["objectKey"]
        for folder in sorted(self.folders, key=lambda one: -len(one.prefix)):
            if (path := _first(folder.candidates(key))) is not None:
                return path
        return self.sent.of(item)


def _first(candidates: Iterable[Path]) -> Path | None:
    for path in candidates:
        for form in ("NFC", "NFD"):  # keys are composed; names of files need not be
            found = path.with_name(unicodedata.normalize(form, path.name))
            if found.is_file():
                return found
    return None


class Sent:
    """What this machine has sent, by key. In a file of its own: there may be a hundred thousand."""

    def __init__(self) -> None:
        # Without a name SQLite keeps it on the disk, and only as long as it is open.
        self._database = sqlite3.connect("")
        self._database.execute(
            "CREATE TABLE sent (bucket, key, path BLOB, version, PRIMARY KEY (bucket, key)) WITHOUT ROWID"
        )
        self._known: set[str] = set()

    def of(self, item: ResultItem) -> Path | str:
        bucket, version = item["bucket"], item.get("versionId")
        if bucket not in self._known:
            self._read(bucket)
        query = "SELECT path, version FROM sent WHERE bucket = ? AND key = ?"
        found = self._database.execute(query, (bucket, item["objectKey"])).fetchone()
        if found is None:
            return "not_here"
        if version and found[1] and version != found[1]:
            return "another_version"
        path = Path(os.fsdecode(found[0]))
        return path if path.is_file() else "not_here"

    def _read(self, bucket: str) -> None:
        rows = (
            (bucket, one.key, os.fsencode(one.path), one.version_id)
            for one in Journal(bucket).entries()
            if one.path
        )
        self._database.executemany("INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?)", rows)
        self._known.add(bucket)

    def close(self) -> None:
        self._database.close()
