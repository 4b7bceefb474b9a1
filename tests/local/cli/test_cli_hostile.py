"""Hostile keys and pictures through the whole local pipeline, over real HTTP: tests/hostile, end to end."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.hostile.expectations import harmless
from tests.hostile.object_keys import KEYS
from tests.hostile.pictures import PICTURES
from tests.support.machine import jpeg

if TYPE_CHECKING:
    from tests.local.cli.conftest import Pipeline

# As names of files; the rest goes by --key.
NAMES = [
    row.stored
    for row in KEYS
    if row.stored is not None
    and "/" not in row.stored
    and len(row.stored.encode()) < 250
    and not row.stored.startswith(".")
]
# The local cloud's lists are XML without url encoding, and its IAM matches no line end: it takes no such key.
REFUSED = [name for name in NAMES if re.search(r"[\x00-\x08\x0a-\x1f\ufffe\uffff]", name)]
TAKEN = sorted(set(NAMES).difference(REFUSED))
PATHS = ("/a.jpg", "a//b.jpg", "../../etc/passwd", "a/../b/./c.jpg", "folder/")
SENT = {
    "file-jpeg-that-is-a-zip-too": "",
    "file-jpeg-of-3-mb-metadata": "",
    "file-png-that-moves": "",
    "file-jpeg-cut-at-half": "corrupt",
    "file-png-cut-at-half": "corrupt",
    "file-claims-10000-x-10000": "too_large",
    "file-bomb-of-text": "",
    "file-jpeg-without-its-end": "",
}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_hostile_names_come_back_as_they_are(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(jpeg(number))
    sent = pipeline.imgpipe("upload", folder, "--wait", "--json", "--timeout", "120", code=1)
    keys = [f"hostile/{name}" for name in TAKEN]
    assert sorted(one["objectKey"] for one in sent.lines()) == keys
    assert {one["status"] for one in sent.lines()} == {"done"}
    found = pipeline.imgpipe("result", "--json", "--", *keys).json()["data"]
    assert [one["objectKey"] for one in found] == keys
    listed = pipeline.imgpipe("list", "--json", "--limit=0", "--prefix=hostile/").lines()
    assert sorted(one["objectKey"] for one in listed) == keys
    again = pipeline.imgpipe("upload", *(folder / name for name in REFUSED), code=1)
    assert harmless(again.out) == f"0 sent, {len(REFUSED)} refused.\n"
    assert harmless(again.err).count("The bucket does not take the key") == len(REFUSED) > 5
    for arguments in (("result", "--", *keys), ("list", "--limit=0"), ("logs", "--verbose")):
        shown = pipeline.imgpipe(*arguments)
        harmless(shown.out + shown.err)


@pytest.mark.parametrize("key", PATHS)
def test_keys_that_look_like_paths_stay_what_they_are(pipeline: Pipeline, tmp_path: Path, key: str) -> None:
    data = jpeg(7)
    (tmp_path / "a.jpg").write_bytes(data)
    pipeline.imgpipe("upload", tmp_path / "a.jpg", f"--key={key}", "--wait")
    (item,) = pipeline.imgpipe("result", "--json", "--", key).json()["data"]
    assert (item["objectKey"], item["status"]) == (key, "done")
    assert _picture_of(pipeline, key) == data


def _picture_of(pipeline: Pipeline, key: str) -> bytes:
    """What the page would show: by a link that the API gives."""
    token = pipeline.imgpipe("token", "--json").json()["data"]["token"]
    asked = urllib.request.Request(
        f"{pipeline.outputs['apiUrl']}/image?key={quote(key, safe='')}",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        link = json.load(answer)["url"]
    with urllib.request.urlopen(link, timeout=30) as answer:
        return bytes(answer.read())


def test_a_story_of_escapes_is_only_shown(pipeline: Pipeline, tmp_path: Path) -> None:
    key = "story/\u009b2J\x7f\u202e.jpg"
    (tmp_path / "a.jpg").write_bytes(jpeg(9))
    pipeline.imgpipe("upload", tmp_path / "a.jpg", f"--key={key}", "--wait")
    told = pipeline.imgpipe("explain", key, "--verbose")
    assert "story/\\x9b2J" in harmless(told.out + told.err)
    assert pipeline.imgpipe("explain", key, "--json").json()["data"]["key"] == key


def test_hostile_pictures_have_their_results(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for row in PICTURES:
        if row.id in SENT:
            (folder / row.id).write_bytes(row.make())
    ended = pipeline.imgpipe("upload", folder, "--wait", "--json", "--timeout", "120", code=1)
    found = {Path(one["objectKey"]).name: one.get("error", {}).get("code", "") for one in ended.lines()}
    assert found == SENT
