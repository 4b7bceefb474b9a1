"""The pipelines that were set up from this machine, and the last target: one file of the state folder.

It is a convenience: deleting it loses nothing that the cloud does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from imgpipe_cli.aws.names import check_project
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.target import Begun, Remembered, Target
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir, to_read, unusable

_FILE = "targets.json"
_VERSION = 1
# Hundreds of pipelines; what is larger is not ours.
_MAX_BYTES = 1 << 20
_Kind = TypeVar("_Kind")


class Targets:
    """The pipelines that were set up or begun here, and the last target. Lives in one 0600 file of the state
    folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises Problem for a folder that is no place for them. It is made when something is written."""
        self._folder = folder
        self._path = (folder or to_read()) / _FILE

    def read(self) -> tuple[Target, list[Begun]]:
        """The target of the last command that set it, and all pipelines, those that were only begun last.
        What cannot be read is nothing: it is only a convenience."""
        try:
            document = json.loads(file_io.read(self._path, at_most=_MAX_BYTES))
            if document["version"] != _VERSION:
                return Target(), []
            known: list[Begun] = [
                _typed(kind, {**entry, "target": _target(entry["target"])})
                for kind, entries in (
                    (Remembered, document["pipelines"]),
                    (Begun, document.get("begun", ())),
                )
                for entry in entries
            ]
            return _target(document["last"]), known
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, Problem):
            return Target(), []

    def put(self, entry: Remembered) -> None:
        """Remember it, as the target of the commands to come."""
        others = [known for known in self.read()[1] if known.target != entry.target]
        self._write(entry.target, [entry, *others])

    def begin(self, entry: Begun) -> None:
        """Make it the target of the commands to come, before it is changed: an `up` that ends half-way is
        continued where it was. What is remembered of it stays."""
        last, known = self.read()
        if all(one.target != entry.target for one in known):
            known = [entry, *known]
        elif last == entry.target:
            return
        self._write(entry.target, known)

    def drop(self, target: Target) -> None:
        """Forget the pipeline; its place stays the target, so that `down` twice looks at the same place."""
        known = self.read()[1]
        self._write(target, [entry for entry in known if entry.target != target])

    def _write(self, last: Target, entries: Sequence[Begun]) -> None:
        document = {
            "version": _VERSION,
            "last": asdict(last),
            "pipelines": [asdict(entry) for entry in entries if isinstance(entry, Remembered)],
            "begun": [asdict(entry) for entry in entries if not isinstance(entry, Remembered)],
        }
        if self._folder is None:
            state_dir()
        try:
            file_io.write(self._path, json.dumps(document, indent=1))
        except OSError as error:
            raise unusable(self._path.parent, error) from error


def _target(values: Mapping[str, Any]) -> Target:
    found = _typed(Target, values)
    check_project(found.project)
    return found


def _typed(kind: type[_Kind], values: Mapping[str, Any]) -> _Kind:
    """The values as one of ours. Raises TypeError for one that is not of its field's type."""
    found = kind(**values)
    for field, wanted in get_type_hints(kind).items():
        value = getattr(found, field)
        # A bool is an int and not a float; a whole number may stand for a float.
        if not isinstance(value, (wanted, int) if wanted is float else wanted):
            raise TypeError(f"{field} is {value!r}")
    return found
