"""`imgpipe result --annotate`: the pictures of results, with what was found drawn on them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures import annotating

if TYPE_CHECKING:
    from shared.result_item import ResultItem


class Annotation:
    """Where the pictures go: into one file, or a folder. drawn: of each picture its key, path and boxes."""

    def __init__(self, run: Run, name: str, keys: list[str]) -> None:
        """name: that of a folder ends with a slash, unless it is there or there are several keys.

        Raises Problem for what can be known to be wrong before anything is read.
        """
        annotating.check()
        self.drawn: list[dict[str, Any]] = []
        self._run = run
        self._out = out = Path(name)
        self._is_folder = out.is_dir() or len(keys) > 1 or name.endswith(("/", os.sep))
        self._taken: set[str] = set()
        is_name = out.exists() or out.suffix.lower() in annotating.FORMATS
        if len(keys) > 1 and is_name and not out.is_dir():
            raise annotating.usage("Several pictures go into a folder.", "Name one: --annotate drawn/")
        if not self._is_folder and out.suffix.lower() not in annotating.FORMATS:
            raise annotating.usage(
                f"{out} is no name of a JPEG or PNG file.",
                "Name a file such as cat-boxes.jpg, or a folder: drawn/",
            )

    def draw(self, items: Iterable[ResultItem]) -> list[Problem]:
        """Draw on each picture that was analyzed; what was in the way of one keeps no other from it."""
        problems = []
        for item in items:
            try:
                if item["status"] == "done":
                    self._one(item)
            except Problem as problem:
                problems.append(problem)
        return problems

    def _one(self, item: ResultItem) -> None:
        from imgpipe_cli.pictures.stored_picture import content

        connection = self._run.connect()
        data = content(connection.aws, connection.names.bucket, item)
        path = self._path(item)
        boxes = annotating.annotate(data, item, path)
        self.drawn.append({"key": item["objectKey"], "path": str(path), "boxes": boxes})
        self._run.note("annotated" if boxes else "no_boxes", str(path))

    def _path(self, item: ResultItem) -> Path:
        if not self._is_folder:
            return self._out
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(
                "not_drawn", f"The folder {self._out} cannot be made: {error.strerror or error}."
            ) from error
        name = annotating.file_name(item["objectKey"], item.get("contentType"), self._taken)
        self._taken.add(name.lower())
        return self._out / name
