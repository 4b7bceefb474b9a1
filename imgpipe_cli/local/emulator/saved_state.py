"""The state on disk as it is found at a start: read as a whole before any of it is taken, or refused.

MiniStack starts empty where it cannot read a file, and the next snapshot would replace what was there. Here
a file that cannot be read ends the start. It is kept, and the user may go on with the snapshot before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.files import LocalFiles, make_folders
from imgpipe_cli.system import file_io

PENDING = "imgpipe-pending-events"
# The functions' zips, each named by its SHA-256.
CODE = "lambda-blobs"
_FORMAT = "__ministack_format__"
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError)


@dataclass(frozen=True)
class Damage:
    """A file of the state that cannot be used, by its name in the state's folder."""

    name: str
    why: str


@dataclass(frozen=True)
class Reader:
    """Reads files as MiniStack would. names: its parts; hook: makes its own kinds of values; newest: the
    newest format of a part that it knows."""

    names: Collection[str]
    hook: Callable[[dict[str, Any]], Any]
    newest: Callable[[str], int]

    def files(self, state: Path) -> Iterator[Path]:
        yield from (path for path in sorted(state.glob("*.json")) if path.stem in {*self.names, PENDING})
        yield from sorted((state / CODE).glob("*.zip"))

    def read(self, path: Path) -> dict[str, Any]:
        """What was saved in this file; nothing for a function's code. Raises one of _UNREADABLE."""
        content = path.read_bytes()
        if path.suffix == ".zip":
            if hashlib.sha256(content).hexdigest() != path.stem:
                raise ValueError("it is not what was saved")
            return {}
        found = json.loads(content, object_hook=None if path.stem == PENDING else self.hook)
        payload = found if path.stem == PENDING else found["payload"]
        if not isinstance(payload, dict) or not isinstance(payload.get("events", []), list):
            raise TypeError("it is not what was saved")
        if path.stem != PENDING and found[_FORMAT] > self.newest(path.stem):
            raise ValueError("a newer imgpipe saved it")
        return payload

    def is_good(self, path: Path) -> bool:
        try:
            self.read(path)
        except _UNREADABLE:
            return False
        return True


def read(files: LocalFiles, reader: Reader) -> tuple[dict[str, dict[str, Any]], list[Damage]]:
    """What was saved, by part, and everything that cannot be used."""
    parts: dict[str, dict[str, Any]] = {}
    there = list(reader.files(files.state))
    lost = [path.name for path in reader.files(files.older) if path.suffix == ".json"]
    damages = [Damage(name, "is missing") for name in lost if not (files.state / name).exists()]
    for path in there:
        try:
            parts[path.stem] = reader.read(path)
        except _UNREADABLE as error:
            name = str(path.relative_to(files.state).as_posix())
            damages.append(Damage(name, f"cannot be read: {reason(error)}"))
    return parts, damages


def take_older(files: LocalFiles, damages: list[Damage], reader: Reader) -> None:
    """Keep each damaged file, and put that of the snapshot before in its place, where there is a good one."""
    make_folders(files)
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    for damage in damages:
        here, before = files.state / damage.name, files.older / damage.name
        if here.exists():
            here.rename(files.damaged / f"{now}-{here.name}")
        if reader.is_good(before):
            file_io.write(here, before.read_bytes(), durable=True)
        elif before.exists():
            before.rename(files.damaged / f"{now}-older-{before.name}")
    # An older list of functions may name code that the latest no longer has.
    for code in reader.files(files.older):
        here = files.state / CODE / code.name
        if code.suffix == ".zip" and not here.exists() and reader.is_good(code):
            here.parent.mkdir(mode=0o700, exist_ok=True)
            file_io.write(here, code.read_bytes(), durable=True)


def refusal(files: LocalFiles, damages: list[Damage], reader: Reader) -> Problem:
    """The words of a start that does not go on, with the way out."""
    first, others = damages[0], len(damages) - 1
    more = f" So are {others} files more." if others > 1 else " So is one file more." if others else ""
    if all(reader.is_good(files.older / damage.name) for damage in damages):
        way = "imgpipe local start --older goes on with the snapshot before it"
    else:
        way = "No older snapshot of it is left. imgpipe local start --older goes on without it"
    return Problem(
        "local_data_damaged",
        f"The local cloud's data is damaged: {files.state / first.name} {first.why}.{more}",
        hint=f"{way}; imgpipe up then repairs what is missing. The damaged file is kept.",
    )


def reason(error: Exception) -> str:
    """Why a file cannot be read or written, for the end of a sentence."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "it ends too early, or is no JSON"
    return str(error) if isinstance(error, ValueError) else "it is not what was saved"
