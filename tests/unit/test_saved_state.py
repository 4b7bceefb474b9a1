"""The files of the local cloud's state as they are found at a start, damaged in every way."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.emulator.saved_state import CODE, PENDING, Damage, Reader, read, refusal, take_older
from imgpipe_cli.local.files import LocalFiles, make_folders


def _hook(values: dict[str, Any]) -> Any:
    return tuple(values["__tuple__"]) if "__tuple__" in values else values


READER = Reader(frozenset({"iam", "dynamodb"}), hook=_hook, newest=lambda _name: 2)
BLOB = b"a function's code"
BLOB_NAME = f"{CODE}/{hashlib.sha256(BLOB).hexdigest()}.zip"


def saved(payload: Any, version: int = 2) -> bytes:
    return json.dumps({"__ministack_format__": version, "payload": payload}).encode()


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    """A whole state, and an older one of all but `iam`."""
    found = LocalFiles(tmp_path / "local")
    make_folders(found)
    put(found.state, "iam.json", saved({"users": {"__tuple__": [1]}}))
    put(found.state, "dynamodb.json", saved({"tables": 2}))
    put(found.state, f"{PENDING}.json", b'{"events": [{"function": "f"}]}')
    put(found.state, BLOB_NAME, BLOB)
    put(found.older, "dynamodb.json", saved({"tables": 1}))
    put(found.older, f"{PENDING}.json", b'{"events": []}')
    put(found.older, BLOB_NAME, BLOB)
    return found


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_whole_state_is_read(files: LocalFiles) -> None:
    put(files.state, "notes.json", b"a stranger's file")
    parts, damages = read(files, READER)
    assert damages == []
    assert parts["iam"] == {"users": (1,)}
    assert parts[PENDING] == {"events": [{"function": "f"}]}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "emptied": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbage": lambda path: path.write_bytes(os.urandom(500)),
    "no-object": lambda path: path.write_bytes(b"[]"),
    "null": lambda path: path.write_bytes(b"null"),
    "other-keys": lambda path: path.write_bytes(b"{}"),
    "payload-of-another-kind": lambda path: path.write_bytes(saved("text")),
    "no-version": lambda path: path.write_bytes(b'{"payload": {}}'),
    "nested": lambda path: path.write_bytes(b"[" * 100_000),
    "folder": lambda path: path.rename(path.with_name("away")) and path.mkdir(),  # type: ignore[func-returns-value]
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_named_and_the_older_one_taken_only_when_asked(files: LocalFiles, how: str) -> None:
    path = files.state / "dynamodb.json"
    DAMAGES[how](path)
    before = path.read_bytes() if path.is_file() else None
    _, damages = read(files, READER)
    assert [damage.name for damage in damages] == ["dynamodb.json"]
    told = refusal(files, damages, READER)
    assert (told.code, str(path) in told.message) == ("local_data_damaged", True)
    assert "imgpipe local start --older goes on with the snapshot before it" in told.hint
    assert before == (path.read_bytes() if path.is_file() else None)

    take_older(files, damages, READER)
    parts, damages = read(files, READER)
    assert damages == []
    assert parts["dynamodb"] == {"tables": 1}
    assert parts["iam"] == {"users": (1,)}
    kept = list(files.damaged.iterdir())
    assert len(kept) == (how != "gone")
    assert before is None or kept[0].read_bytes() == before


@pytest.mark.parametrize("older", ["none", "damaged"])
def test_without_a_good_older_one_the_part_is_left_out_when_asked(files: LocalFiles, older: str) -> None:
    (files.state / "iam.json").write_bytes(b"{")
    if older == "damaged":
        put(files.older, "iam.json", b"{")
    _, damages = read(files, READER)
    told = refusal(files, damages, READER)
    assert told.hint.startswith(
        "No older snapshot of it is left. imgpipe local start --older goes on without"
    )
    take_older(files, damages, READER)
    parts, damages = read(files, READER)
    assert (damages, sorted(parts)) == ([], sorted(["dynamodb", PENDING, Path(BLOB_NAME).stem]))
    assert all(path.read_bytes() == b"{" for path in files.damaged.iterdir())


@pytest.mark.parametrize("name", [f"{PENDING}.json", BLOB_NAME])
def test_events_and_code_are_part_of_the_state(files: LocalFiles, name: str) -> None:
    whole = (files.state / name).read_bytes()
    (files.state / name).write_bytes(whole[:7])
    _, damages = read(files, READER)
    assert [damage.name for damage in damages] == [name]
    take_older(files, damages, READER)
    assert read(files, READER)[1] == []
    assert (files.state / name).read_bytes() == (files.older / name).read_bytes()


def test_what_a_newer_version_saved_is_not_replaced(files: LocalFiles) -> None:
    (files.state / "iam.json").write_bytes(saved({}, version=3))
    assert read(files, READER)[1] == [Damage("iam.json", "cannot be read: a newer imgpipe saved it")]


def test_code_that_only_the_older_functions_name_comes_back_with_them(files: LocalFiles) -> None:
    (files.state / BLOB_NAME).unlink()
    (files.state / "dynamodb.json").write_bytes(b"")
    take_older(files, read(files, READER)[1], READER)
    assert (files.state / BLOB_NAME).read_bytes() == BLOB


def test_the_refusal_counts_what_else_is_damaged(files: LocalFiles) -> None:
    named = [Damage("iam.json", "is missing"), Damage("dynamodb.json", "is missing")]
    assert refusal(files, named, READER).message.endswith("iam.json is missing. So is one file more.")
    assert refusal(files, [*named, named[0]], READER).message.endswith("So are 2 files more.")
