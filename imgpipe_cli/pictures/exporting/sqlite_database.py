"""SQLite: a table of results with full-text search, and one of their labels, as Datasette shows them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.exporting.columns import COLUMNS, row

if TYPE_CHECKING:
    from shared.result_item import ResultItem

_SEARCHED = "key, labels, moderation, text, error"
# Datasette finds the search by the table's name in double quotes.
_SCHEMA = f"""
CREATE TABLE results (
    id INTEGER PRIMARY KEY, {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())}
);
CREATE TABLE labels (
    result INTEGER NOT NULL REFERENCES results(id), name TEXT NOT NULL, confidence REAL NOT NULL,
    parents TEXT NOT NULL, boxes TEXT NOT NULL
);
CREATE VIRTUAL TABLE results_fts USING fts5({_SEARCHED}, content="results", content_rowid="id");
"""
_RESULT = f"INSERT OR IGNORE INTO results VALUES (NULL, {', '.join('?' * len(COLUMNS))})"  # noqa: S608 - ours
_LABEL = "INSERT INTO labels VALUES (?, ?, ?, ?, ?)"
_ENDS = (
    "INSERT INTO results_fts(results_fts) VALUES ('rebuild')",
    "CREATE INDEX labels_name ON labels(name, confidence)",
    "CREATE INDEX labels_result ON labels(result)",
)


def write(items: Iterable[ResultItem], path: Path) -> None:
    """Into a file that is empty so far. Of two results of one key the first counts. Raises Problem."""
    try:
        with closing(sqlite3.connect(path)) as database:
            # It takes its place as a whole: until then nothing of it has to outlive a stop.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.executescript(_SCHEMA)
            for item in items:
                _add(database, item)
            for statement in _ENDS:
                database.execute(statement)
            database.commit()
    except sqlite3.Error as error:
        raise Problem(
            "not_exported", f"SQLite cannot write the results: {error}.", hint="Is there room on the disk?"
        ) from error


def _add(database: sqlite3.Connection, item: ResultItem) -> None:
    added = database.execute(_RESULT, row(item))
    if not added.rowcount:
        return
    database.executemany(
        _LABEL,
        (
            (
                added.lastrowid,
                label["Name"],
                label["Confidence"],
                "; ".join(parent["Name"] for parent in label.get("Parents", [])),
                json.dumps([one["BoundingBox"] for one in label.get("Instances", [])]),
            )
            for label in item.get("labels", [])
        ),
    )
