"""COCO: pictures, and the boxes of their labels in pixels, for tools that annotate or train."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from imgpipe_cli.lambdas import source as functions

if TYPE_CHECKING:
    from imgpipe_cli.pictures.exporting.formats import Stream
    from shared.result_item import BoundingBox, ResultItem


def write(items: Iterable[ResultItem], stream: Stream) -> None:
    """Of finished pictures, whose size is known. The boxes wait in a file: they stand behind all pictures."""
    categories: dict[str, int] = {}
    boxes = 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as aside:
        stream.write('{"info": {"description": "Results of imgpipe"}, "images": [')
        for number, item in enumerate(filter(_is_measured, items), start=1):
            width, height = item["width"], item["height"]
            if item.get("orientation") in functions.orientation.SIDEWAYS:
                width, height = height, width
            image = {"id": number, "file_name": item["objectKey"], "width": width, "height": height}
            stream.write((",\n" if number > 1 else "\n") + json.dumps(image))
            for name, percent, box in _instances(item):
                boxes += 1
                kind = categories.setdefault(name, len(categories) + 1)
                place = _place(box, width, height) | {"score": percent / 100, "iscrowd": 0}
                annotation = {"id": boxes, "image_id": number, "category_id": kind} | place
                aside.write((",\n" if boxes > 1 else "\n") + json.dumps(annotation))
        stream.write('\n],\n"annotations": [')
        aside.seek(0)
        shutil.copyfileobj(aside, stream)
        listed = [{"id": number, "name": name} for name, number in categories.items()]
        stream.write(f'\n],\n"categories": {json.dumps(listed)}}}\n')


def _is_measured(item: ResultItem) -> bool:
    return item["status"] == "done" and "width" in item and "height" in item


def _instances(item: ResultItem) -> Iterator[tuple[str, float, BoundingBox]]:
    for label in item.get("labels", []):
        for instance in label.get("Instances", []):
            yield label["Name"], instance["Confidence"], instance["BoundingBox"]


def _place(box: BoundingBox, width: int, height: int) -> dict[str, Any]:
    """In pixels, within the picture: left, top, width, height."""
    left, right = (min(max(at, 0.0), 1.0) * width for at in (box["Left"], box["Left"] + box["Width"]))
    top, bottom = (min(max(at, 0.0), 1.0) * height for at in (box["Top"], box["Top"] + box["Height"]))
    bbox = [round(side, 2) for side in (left, top, right - left, bottom - top)]
    return {"bbox": bbox, "area": round(bbox[2] * bbox[3], 2)}
