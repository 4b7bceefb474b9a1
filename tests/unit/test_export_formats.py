"""Results as CSV, JSON lines, SQLite and COCO, and read again from a file."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.exporting import coco, comma_separated, json_lines, recorded, sqlite_database
from imgpipe_cli.pictures.exporting.formats import FORMATS
from imgpipe_cli.pictures.listing import Wanted
from shared.result_item import ResultItem
from tests.support.api_server import failed, item

BOX = {"Left": 0.1, "Top": 0.5, "Width": 0.25, "Height": 0.75}
CAT = {"Name": "Cat", "Confidence": 98.5, "Parents": [{"Name": "Animal"}]}
WITH_BOX = {**CAT, "Instances": [{"BoundingBox": BOX, "Confidence": 97.0}]}
ANIMAL = {"Name": "Animal", "Confidence": 98.5}
TEXT = [
    {"DetectedText": "Open, daily", "Confidence": 90.0, "Type": "LINE"},
    {"DetectedText": "Open", "Confidence": 90.0, "Type": "WORD"},
]
WHOLE = item(
    "a,b.jpg", labels=[WITH_BOX, ANIMAL], text=TEXT, faces=[{"Confidence": 99.0}], width=200, height=100
)
FAILED = failed("bad.jpg", retryable=False)
# As the data set's own format description has it, as far as it is about boxes.
SCHEMA = {
    "type": "object",
    "required": ["info", "images", "annotations", "categories"],
    "properties": {
        "images": {
            "items": {
                "required": ["id", "width", "height", "file_name"],
                "properties": {
                    "id": {"type": "integer"},
                    "width": {"type": "integer"},
                    "height": {"type": "integer"},
                    "file_name": {"type": "string"},
                },
            }
        },
        "annotations": {
            "items": {
                "required": ["id", "image_id", "category_id", "bbox", "area", "iscrowd"],
                "properties": {
                    "id": {"type": "integer"},
                    "image_id": {"type": "integer"},
                    "category_id": {"type": "integer"},
                    "bbox": {
                        "type": "array",
                        "items": {"type": "number", "minimum": 0},
                        "minItems": 4,
                        "maxItems": 4,
                    },
                    "area": {"type": "number", "minimum": 0},
                    "iscrowd": {"enum": [0, 1]},
                },
            }
        },
        "categories": {
            "items": {
                "required": ["id", "name"],
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
            }
        },
    },
}


def rows(*items: ResultItem) -> list[dict[str, str]]:
    stream = io.StringIO()
    comma_separated.write(items, stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_every_format_can_be_written() -> None:
    assert all(callable(one.write) for one in FORMATS.values())


def test_csv_has_a_line_for_each_result() -> None:
    whole, bad = rows(WHOLE, FAILED)
    assert whole == {
        "key": "a,b.jpg",
        "status": "done",
        "analyzed_at": WHOLE["analyzedAt"],
        "content_type": "",
        "size_bytes": "",
        "width": "200",
        "height": "100",
        "labels": "Cat; Animal",
        "moderation": "",
        "faces": "1",
        "text": "Open, daily",
        "error": "",
    }
    assert (bad["status"], bad["error"]) == ("failed", "throttled: Too busy.")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])  # noqa: RUF001
def test_no_cell_is_a_formula(start: str) -> None:
    text = [{"DetectedText": f"{start}SUM(A1)", "Confidence": 90.0, "Type": "LINE"}]
    (found,) = rows(item(f"{start}cmd|' /C calc'!A0", text=text))
    assert (found["key"][0], found["text"][0]) == ("'", "'")
    assert found["key"][1:] == f"{start}cmd|' /C calc'!A0"


def test_numbers_stay_numbers() -> None:
    (found,) = rows(item("a", width=-1))
    assert found["width"] == "-1"


def test_coco_has_boxes_in_pixels_and_fits_its_schema() -> None:
    stream = io.StringIO()
    twice = item("c.png", labels=[WITH_BOX], width=10, height=10)
    coco.write([WHOLE, FAILED, item("unmeasured.jpg", labels=[WITH_BOX]), twice], stream)
    found: dict[str, Any] = json.loads(stream.getvalue())
    jsonschema.validate(found, SCHEMA)
    assert [one["file_name"] for one in found["images"]] == ["a,b.jpg", "c.png"]
    assert found["categories"] == [{"id": 1, "name": "Cat"}]
    first, second = found["annotations"]
    # The box reaches beyond the lower edge.
    assert (first["image_id"], first["bbox"], first["area"]) == (1, [20.0, 50.0, 50.0, 50.0], 2500.0)
    assert (second["image_id"], second["bbox"]) == (2, [1.0, 5.0, 2.5, 5.0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_in_pixels_are_those_of_the_upright_picture(orientation: int) -> None:
    stream = io.StringIO()
    coco.write([item("a.jpg", labels=[WITH_BOX], width=200, height=100, orientation=orientation)], stream)
    found = json.loads(stream.getvalue())
    width, height = (100, 200) if orientation > 4 else (200, 100)
    assert [(one["width"], one["height"]) for one in found["images"]] == [(width, height)]
    assert found["annotations"][0]["bbox"] == [0.1 * width, 0.5 * height, 0.25 * width, 0.5 * height]


def test_coco_of_nothing_is_valid_too() -> None:
    stream = io.StringIO()
    coco.write([], stream)
    jsonschema.validate(json.loads(stream.getvalue()), SCHEMA)


def test_coco_is_small() -> None:
    assert len(Path(coco.__file__).read_text(encoding="utf-8").splitlines()) <= 60


def test_sqlite_can_be_searched_for_words(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    path.touch()
    sqlite_database.write([WHOLE, FAILED, item("a,b.jpg", labels=[])], path)
    with closing(sqlite3.connect(path)) as database:
        ids = "SELECT rowid FROM results_fts WHERE results_fts MATCH ?"
        search = f"SELECT key FROM results WHERE id IN ({ids})"
        assert database.execute(search, ("cat daily",)).fetchall() == [("a,b.jpg",)]
        assert database.execute(search, ("throttled",)).fetchall() == [("bad.jpg",)]
        labels = "SELECT key, name, confidence, parents, boxes FROM labels JOIN results ON id = result"
        assert database.execute(labels).fetchall() == [
            ("a,b.jpg", "Cat", 98.5, "Animal", json.dumps([BOX])),
            ("a,b.jpg", "Animal", 98.5, "", "[]"),
        ]
        # So Datasette finds the search of a table.
        finds = (
            "SELECT name FROM sqlite_master WHERE rootpage = 0 AND sql LIKE '%USING FTS%content=\"results\"%'"
        )
        assert database.execute(finds).fetchall() == [("results_fts",)]
        (keys,) = database.execute("PRAGMA foreign_key_list(labels)").fetchall()
        assert keys[2:5] == ("results", "result", "id")


def test_a_disk_without_room_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot write"):
        sqlite_database.write([WHOLE], tmp_path)


def test_json_lines_are_read_again_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("w") as stream:
        json_lines.write([WHOLE, FAILED], stream)
    others: list[int] = []
    assert list(recorded.read(path, others.append)) == [WHOLE, FAILED]
    assert others == []


def changed(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, **changes}


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "[" * 100_000,
        json.dumps({"version": 1, "errors": []}),
        json.dumps(changed(status="late")),
        json.dumps(changed(analyzedAt="yesterday")),
        json.dumps(changed(labels=[{"Name": 3, "Confidence": 1}])),
        json.dumps(changed(labels=[{**CAT, "Parents": ["Animal"]}])),
        json.dumps(changed(labels=[{**CAT, "Instances": [{"Confidence": 1, "BoundingBox": {}}]}])),
        json.dumps(changed(labels=[{**CAT, "Confidence": float("nan")}])),
        json.dumps(changed(text="Open")),
        json.dumps(changed(width="200")),
        json.dumps(changed(text=[{"DetectedText": "\ud800", "Confidence": 1}])),
        json.dumps({**FAILED, "error": None}),
    ],
)
def test_a_line_that_is_no_result_hides_no_other(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(f"{line}\n\n{json.dumps(WHOLE)}\n")
    others: list[int] = []
    assert list(recorded.read(path, others.append)) == [WHOLE]
    assert others == [1]


def test_a_key_counts_once_and_filters_are_those_of_the_list() -> None:
    again, older = item("a,b.jpg"), item("old.jpg", at="2025-01-01T00:00:00.000Z")
    found = [WHOLE, again, older, FAILED]
    keys = [one["objectKey"] for one in recorded.matching(iter(found), Wanted(since="2026"))]
    assert keys == ["a,b.jpg", "bad.jpg"]
    assert list(recorded.matching(iter(found), Wanted(label="cat"))) == [WHOLE]
    assert list(recorded.matching(iter(found), Wanted(status="failed"))) == [FAILED]
