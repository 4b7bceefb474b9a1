"""A folder of photographs of all kinds, through the local cloud: the labels are those of the upright JPEG."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support import photos
from tests.support.exhaustive import only

ENDS = {"HEIC": "HEIC", "AVIF": "avif", "WebP": "webp", "TIFF": "tif", "DNG": "dng"}
# What the pipeline shows.
SURE = 70


def mixed(folder: Path, each: int) -> None:
    """So many files of each kind, in all orientations by turns, each with a sidecar; a broken one of each."""
    folder.mkdir()
    made = {**{end: photos.MADE[kind] for kind, end in ENDS.items()}, "jpg": photos.jpeg, "png": photos.png}
    for number, (end, make) in enumerate(made.items()):
        for one in range(each):
            (folder / f"{one:02}.{end}").write_bytes(make(1 + (number + one) % 8))
            (folder / f"{one:02}.{end}.xmp").write_text("<x:xmpmeta/>")
        (folder / f"broken.{end}").write_bytes(make(1)[: 20 if end in ("jpg", "png") else 700])


def labels(item: dict[str, Any]) -> set[str]:
    return {label["Name"] for label in item["labels"] if label["Confidence"] >= SURE}


@pytest.mark.parametrize("each", [1, only(20)])
def test_photographs_of_all_kinds_have_the_labels_of_their_upright_jpeg(
    pipeline: Pipeline, tmp_path: Path, each: int
) -> None:
    folder = tmp_path / f"mixed{each}"
    mixed(folder, each)
    upright = tmp_path / "upright.jpg"
    upright.write_bytes(photos.jpeg(1))
    (reference,) = pipeline.imgpipe("upload", upright, "--wait", "--json").lines()
    sent = pipeline.imgpipe("upload", folder, "--wait", "--json", "--timeout", "300", code=1)
    items = {item["objectKey"]: item for item in sent.lines()}
    assert {"Cat"} <= labels(reference)
    others = {key: found for key, item in items.items() if (found := labels(item)) != labels(reference)}
    assert others == {}
    converted = Counter(item["original"]["kind"] for item in items.values() if "original" in item)
    assert converted == dict.fromkeys(ENDS, each)
    assert len(items) == each * (len(ENDS) + 2)
    assert sent.err.count("refused ") == len(ENDS) + 2  # the broken ones, each with its reason
    again = pipeline.imgpipe("upload", folder, code=1)
    skipped, unchanged = each * (len(ENDS) + 2), len(items)
    assert again.out == f"0 sent, {unchanged} unchanged, {len(ENDS) + 2} refused, {skipped} skipped.\n"
