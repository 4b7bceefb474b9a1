"""snapshots.py on its own: when it saves, and that it never leaves half a file."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.emulator.snapshots import Snapshots
from imgpipe_cli.local.process import log
from imgpipe_cli.local.rekognition.endpoint import RekognitionService
from tests.support.own_loop import finish


def snapshots(folder: Path, **parts: Callable[[], str | None]) -> Snapshots:
    older = folder.with_name(f"{folder.name}-older")
    older.mkdir()
    return Snapshots(folder, older, lambda: parts)


def test_saves_after_a_quiet_moment_and_at_the_latest_after_a_while(tmp_path: Path) -> None:
    saver = snapshots(tmp_path)
    assert not saver.due(time.monotonic() + 100)
    saver.touch()
    now = saver._last_write
    assert not saver.due(now + 1)
    assert saver.due(now + 2.1)
    saver._last_write = now + 9.5
    assert not saver.due(now + 9.6)
    assert saver.due(now + 10.1)


def test_a_state_that_takes_long_to_save_is_saved_less_often(tmp_path: Path) -> None:
    saver = snapshots(tmp_path)
    saver._took_s = 2
    saver.touch()
    now = saver._last_write
    assert not saver.due(now + 19)
    assert saver.due(now + 21)


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    state = {"a": "1", "b": "1"}
    saver = snapshots(tmp_path, a=lambda: state["a"], b=lambda: state["b"], none=lambda: None)
    assert saver.save() == ["a", "b"]
    assert saver.save() == []
    state["b"] = "2"
    assert saver.save() == ["b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]
    assert (tmp_path / "b.json").read_text() == "2"


def test_state_that_changes_while_it_is_copied_is_looked_at_again(tmp_path: Path) -> None:
    attempts = iter([RuntimeError("dictionary changed size during iteration"), "ok"])

    def text() -> str:
        found = next(attempts)
        if isinstance(found, RuntimeError):
            raise found
        return str(found)

    assert snapshots(tmp_path, part=text).save() == ["part"]


def test_one_part_that_cannot_be_saved_does_not_keep_the_others(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("earlier")

    def odd() -> str:
        raise TypeError("not JSON")

    assert snapshots(tmp_path, odd=odd, good=lambda: "1").save() == ["good"]
    assert (tmp_path / "odd.json").read_text() == "earlier"


def test_a_full_disk_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def full() -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run() -> None:
        saver = snapshots(tmp_path, part=full)
        saver._first_unsaved = 1
        assert saver.trouble == ""
        task = asyncio.create_task(saver.run())
        while "could not save the state" not in caplog.text:
            await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        assert saver.trouble == "No space left on device"
        with suppress(OSError):
            saver.save()
        assert not saver.due(saver._tried + 0.9)
        assert saver.due(saver._tried + 1.1)

    finish(asyncio.wait_for(run(), 60))


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "cloud.log"
    path.write_bytes(b"x" * (log.MAX_BYTES + 1) + b"\nlast line\n")
    log.trim(path)
    assert path.stat().st_size == 0
    assert (tmp_path / "cloud.log.1").stat().st_size > log.MAX_BYTES
    path.write_text("one\n\ntwo\n")
    log.trim(path)
    assert log.last_lines(path) == "one\ntwo"
    assert log.last_lines(tmp_path / "missing") == ""


class Analysis:
    def answer(
        self, operation: str, request: dict[str, Any], read_object: object
    ) -> tuple[int, dict[str, Any]]:
        del request, read_object
        return 400, {"__type": "InvalidImageFormatException", "Message": operation}

    def capabilities(self) -> dict[str, Any]:
        return {"labels": True}

    def warm(self) -> None:
        pass


class NoReads:
    def for_request(self, headers: dict[str, str], query: dict[str, list[str]]) -> None:
        del headers, query


def test_rekognitions_error_body_is_complete_and_a_missing_analysis_is_told() -> None:
    def ask(service: RekognitionService, body: bytes) -> tuple[int, dict[str, Any]]:
        headers = {"x-amz-target": "RekognitionService.DetectLabels"}
        status, _, answer = finish(service.handle("POST", "/", headers, body, {}))
        return status, json.loads(answer)

    service = RekognitionService(Analysis, NoReads(), workers=1)  # type: ignore[arg-type]  # no reads in this test
    assert service.capabilities() == {"unavailable": "loading"}
    status, answer = ask(service, b"{}")
    assert (status, answer["Code"], answer["Message"]) == (400, "InvalidImageFormatException", "DetectLabels")
    assert answer["Logref"]
    assert service.capabilities() == {"labels": True}
    assert ask(service, b"[")[1]["__type"] == "SerializationException"

    def broken() -> Analysis:
        raise ImportError("no cv2")

    broken_service = RekognitionService(broken, NoReads(), workers=1)  # type: ignore[arg-type]  # as above
    assert ask(broken_service, b"{}")[1]["__type"] == "InternalServerError"
    broken_service._warm()
    assert broken_service.capabilities() == {"unavailable": "ImportError: no cv2"}


# --- the older snapshot --------------------------------------------------------------------------


def test_one_older_snapshot_is_kept(tmp_path: Path) -> None:
    older = tmp_path.with_name(f"{tmp_path.name}-older")
    state = {"a": "1", "b": "1"}
    saver = snapshots(tmp_path, a=lambda: state["a"], b=lambda: state["b"])

    def kept() -> list[str]:
        saver.save()
        return [path.read_text() for path in sorted(older.glob("*.json"))]

    assert kept() == []
    state["a"] = "2"
    assert kept() == ["1", "1"]
    state["b"] = "2"
    assert kept() == ["2", "1"]
    assert kept() == ["2", "2"]
    assert not (tmp_path / "a.json").samefile(older / "a.json")


def test_what_something_else_changed_is_written_anew_and_not_kept(tmp_path: Path) -> None:
    saver = snapshots(tmp_path, a=lambda: "whole")
    saver.save()
    (tmp_path / "a.json").write_text("cut")
    assert saver.save() == ["a"]
    saver.save()
    assert [path.read_text() for path in (tmp_path / "a.json", saver._older / "a.json")] == ["whole", "whole"]


def test_code_is_kept_as_long_as_the_older_snapshot_may_name_it(tmp_path: Path) -> None:
    saver = snapshots(tmp_path, a=lambda: "1")
    code = tmp_path / "lambda-blobs" / "old.zip"
    code.parent.mkdir()
    code.write_bytes(b"\x00code")
    saver.save()
    assert (saver._older / "lambda-blobs" / "old.zip").read_bytes() == b"\x00code"
    code.unlink()  # as after a save that no longer names it
    saver.save()
    assert list((saver._older / "lambda-blobs").iterdir()) == []


def test_files_and_their_folder_are_on_the_disk_before_a_save_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_dev, found.st_ino))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    saver = snapshots(tmp_path, a=lambda: "1")
    saver.save()
    saver.save()  # which keeps the first one
    wanted = [tmp_path / "a.json", saver._older / "a.json"]
    if os.name == "posix":
        wanted += [tmp_path, saver._older]
    assert {(path.stat().st_dev, path.stat().st_ino) for path in wanted} <= set(synced)


def test_a_folder_that_was_removed_while_the_cloud_runs_is_made_again(tmp_path: Path) -> None:
    saver = snapshots(tmp_path, a=lambda: "1")
    saver.save()
    shutil.rmtree(tmp_path)
    shutil.rmtree(saver._older)
    assert saver.save() == ["a"]
    saver.save()
    assert saver.trouble == ""
