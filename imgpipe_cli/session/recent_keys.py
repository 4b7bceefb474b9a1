"""The keys that were last seen in each pipeline, for the shell's completion: it has no time to ask anybody.

A convenience, as all that is kept on this machine: what cannot be read is nothing, and what cannot be written
is not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imgpipe_cli.errors import Problem
from imgpipe_cli.session.target import Target
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir, to_read

_FILE = "recent-keys.json"
_VERSION = 1
_MAX_BYTES = 1 << 20
_PIPELINES = 20
_KEYS = 200
# Anybody who may upload chooses keys, and shells put what they complete into the command as it is.
_HARMLESS = re.compile(r"[\w@%+=,./][\w@%+=,./-]*")


def seen(target: Target, keys: Iterable[str]) -> None:
    """Remember these, the first as the latest."""
    new = list(dict.fromkeys(key for key in keys if _HARMLESS.fullmatch(key)))[:_KEYS]
    known = _read()
    old = known.pop(_place(target), [])
    merged = list(dict.fromkeys([*new, *old]))[:_KEYS]
    if not new or merged == old:
        return
    _write(dict([(_place(target), merged), *known.items()][:_PIPELINES]))


def forget(*targets: Target) -> None:
    """What is remembered of a pipeline that is gone, by each way in which it was meant."""
    known = _read()
    gone = {_place(target) for target in targets}
    if gone & known.keys():
        _write({place: keys for place, keys in known.items() if place not in gone})


def of(target: Target) -> list[str]:
    """The latest first."""
    return [key for key in _read().get(_place(target), []) if _HARMLESS.fullmatch(key)]


def _place(target: Target) -> str:
    return f"{target.project} {'local' if target.local else 'aws'} {target.region or ''}"


def _read() -> dict[str, list[str]]:
    try:
        document: Any = json.loads(file_io.read(_path(), at_most=_MAX_BYTES))
        if document["version"] != _VERSION:
            return {}
        return {str(place): [str(key) for key in keys] for place, keys in document["keys"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, Problem):
        return {}


def _write(kept: dict[str, list[str]]) -> None:
    try:
        document = json.dumps({"version": _VERSION, "keys": kept}, ensure_ascii=False)
        file_io.write(state_dir() / _FILE, document)
    except (OSError, Problem):
        return


def _path() -> Path:
    return to_read() / _FILE
