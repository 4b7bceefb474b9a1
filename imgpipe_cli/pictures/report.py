"""The report of an upload: a file with one line of JSON for each picture."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.system import file_io

if TYPE_CHECKING:
    from imgpipe_cli.events import Refused, Sent, Unchanged
    from shared.result_item import ResultItem

_BEGINS = b'{"state": "'


class Report:
    """Gets a line for each picture as soon as it is known what became of it; the others at the end.

    Line: `{"state", "source", "key", "versionId", ...}`. States: done and failed (with `result`), pending,
    replaced, refused (with `error`, without key); without waiting also sent and unchanged. Thread-safe.
    """

    def __init__(self, path: Path, *, waits: bool) -> None:
        """waits: whether results are waited for. Raises Problem where the file cannot be written."""
        self._path = path
        self._waits = waits
        self._lock = threading.Lock()
        self._open: dict[str, dict[str, Any]] = {}
        self._error: OSError | None = None
        try:
            if path.exists() and file_io.read(path, at_most=len(_BEGINS)) not in (b"", _BEGINS):
                raise Problem(
                    "file_exists",
                    f"{path} exists and is not a report of imgpipe; it was not touched.",
                    hint="Choose another name.",
                    exit_code=ExitCode.USAGE,
                )
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the lines of pictures without a result, and close. Raises Problem where that failed."""
        with self._lock:
            for facts in self._open.values():
                self._write("pending", facts)
            self._open.clear()
            try:
                self._file.close()
            except OSError as failure:
                self._error = self._error or failure
        if self._error is not None and error is None:
            raise self._unwritable(self._error)

    def there(self, event: Sent | Unchanged, *, state: str) -> None:
        """It is in the bucket. state: sent, or unchanged."""
        facts = {"source": event.source, "key": event.key, "versionId": event.version_id}
        with self._lock:
            if self._waits:
                self._open[event.key] = facts
            else:
                self._write(state, facts)

    def refused(self, event: Refused) -> None:
        error = {"code": event.code, "message": event.message, "hint": event.hint}
        with self._lock:
            self._write("refused", {"source": event.source, "error": error})

    def result(self, item: ResultItem) -> None:
        with self._lock:
            self._write(item["status"], {**self._open.pop(item["objectKey"]), "result": item})

    def replaced(self, key: str) -> None:
        """Another picture, or none, is there now: this one gets no result."""
        with self._lock:
            self._write("replaced", self._open.pop(key))

    def _write(self, state: str, facts: Mapping[str, Any]) -> None:
        if self._error is not None:
            return
        try:
            # A name that is not UTF-8 is written as an escape.
            print(json.dumps({"state": state, **facts}), file=self._file, flush=True)
        except OSError as error:  # told at the end: the pictures go on
            self._error = error

    def _unwritable(self, error: OSError) -> Problem:
        return Problem(
            "report_not_written",
            f"The report {self._path} cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that exists, may be written to, and has room.",
        )
