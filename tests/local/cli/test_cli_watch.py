"""`watch` shows results of everybody's pictures and sends what is put into a folder, until Ctrl-C."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.local.cli.conftest import SAMPLES, Pipeline
from tests.support.machine import EXAMPLES, Machine, interrupt, jpeg, machine_in, until


@dataclass
class Watching:
    """A running `watch`; what it says is gathered while it runs."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=self._gather, args=(stream, lines), daemon=True).start()
        self.until_said("Watching")

    def _gather(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    def until_said(self, words: str, times: int = 1) -> None:
        def said() -> bool:
            return sum(words in line for line in [*self.out, *self.err]) >= times

        until(said, what=f"{words!r} in {self.out} {self.err}")

    def items(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path / "own") as found:
        yield found


def test_results_of_other_uploaders_appear_until_ctrl_c(pipeline: Pipeline) -> None:
    watching = Watching(pipeline.machine.start("watch", "--project", "shared", "--local"))
    s3 = pipeline.machine.client("s3")
    body = (EXAMPLES / "astronaut.jpg").read_bytes()
    s3.put_object(Bucket=pipeline.bucket, Key="theirs/astronaut.jpg", Body=body)
    s3.put_object(Bucket=pipeline.bucket, Key="theirs/broken.jpg", Body=b"GIF89a" + b"x" * 400)
    watching.until_said("theirs/astronaut.jpg  Face 96 %, Head 96 %, Person 96 %")
    watching.until_said("theirs/broken.jpg  failed:")
    code, _, _ = interrupt(watching.process)
    assert code == 130
    assert not any("Traceback" in line for line in watching.err)
    assert sum("theirs/" in line for line in watching.out) == 2


def test_since_shows_what_was_found_earlier_one_object_a_line(pipeline: Pipeline) -> None:
    watching = Watching(pipeline.machine.start("watch", "--since", "1d", "--json", "--project", "shared"))
    for sample in SAMPLES:
        watching.until_said(f'"objectKey": "{sample.name}"')
    interrupt(watching.process)
    times = [item["analyzedAt"] for item in watching.items()]
    assert times == sorted(times)


def test_pictures_put_into_a_folder_are_sent_once_complete_and_again_once_changed(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "there-before.jpg").write_bytes(jpeg(900))
    watching = Watching(pipeline.machine.start("watch", folder, "--json", "--project", "shared", "--local"))
    watching.until_said("1 file already in the folder")

    shutil.copy(EXAMPLES / "astronaut.jpg", folder / "put.jpg")
    whole = (EXAMPLES / "sign.png").read_bytes()
    with (folder / "slow.png").open("wb") as file:
        for start in range(0, len(whole), 2400):
            file.write(whole[start : start + 2400])
            file.flush()
            time.sleep(0.6)
    (folder / "below").mkdir()
    (folder / "below" / "deep.jpg").write_bytes(jpeg(901))
    (folder / "notes.pdf.jpg").write_bytes(b"%PDF-1.7")
    for key in ("inbox/put.jpg", "inbox/slow.png", "inbox/below/deep.jpg"):
        watching.until_said(f'"objectKey": "{key}"')
    slow = next(item for item in watching.items() if item["objectKey"] == "inbox/slow.png")
    assert (slow["status"], slow["sizeBytes"]) == ("done", len(whole))

    (folder / "put.jpg").write_bytes(jpeg(902))
    watching.until_said('"objectKey": "inbox/put.jpg"', times=2)
    interrupt(watching.process)
    keys = [item["objectKey"] for item in watching.items() if item["objectKey"].startswith("inbox/")]
    assert sorted(keys) == ["inbox/below/deep.jpg", "inbox/put.jpg", "inbox/put.jpg", "inbox/slow.png"]


def test_it_goes_on_after_the_cloud_was_away(own: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    own.imgpipe("up", "--local")
    watching = Watching(own.start("watch", folder))
    own.imgpipe("local", "stop")
    watching.until_said("No connection")
    (folder / "meanwhile.jpg").write_bytes(jpeg(1))
    own.imgpipe("local", "start")
    watching.until_said("inbox/meanwhile.jpg  nothing found")
    watching.until_said("Connected again.")
    assert interrupt(watching.process)[0] == 130
    assert not any("Traceback" in line for line in watching.err)
    assert sum("meanwhile.jpg  nothing found" in line for line in watching.out) == 1


def test_a_folder_that_is_none_is_wrong_usage(pipeline: Pipeline, tmp_path: Path) -> None:
    done = pipeline.imgpipe("watch", tmp_path / "nowhere", code=2)
    assert "is not a folder" in done.err
    assert "is not a time" in pipeline.imgpipe("watch", "--since", "yesterday", code=2).err
