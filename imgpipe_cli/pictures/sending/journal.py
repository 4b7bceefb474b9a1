"""What this machine has sent into a bucket: a file of lines, which saves questions to S3, and tells which
file of this machine is the picture of a key.

A line is noted when S3 has taken a picture, and some are written together. Whatever ends the program, at any
byte, costs the lines of the last moment; what cannot be read is as if it were not there. The bucket decides
what is sent, never this file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgpipe_cli.errors import Problem
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir, to_read

# The latest are kept, in about so many bytes: some 100,000 pictures.
MAX_BYTES = 48 * 1024 * 1024
_LONGEST_LINE = 16 * 1024
# Each write lets other threads run first.
_TOGETHER = 32
# A pipe in its place would wait for a reader; Windows has none.
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True)
class Entry:
    """A picture that was sent, or found there. source_sha256: of the file; sent_sha256: of the bytes that
    went, both in hex. etag: as S3 answered it, without quotes. path: of the file, absolute; "" for none."""

    key: str
    size_bytes: int
    source_sha256: str
    sent_sha256: str
    etag: str
    version_id: str | None
    path: str = ""

    @property
    def line(self) -> bytes:
        document = {
            "key": self.key,
            "size": self.size_bytes,
            "source": self.source_sha256,
            "sent": self.sent_sha256,
            "etag": self.etag,
            "versionId": self.version_id,
            "path": self.path,
        }
        return json.dumps(document).encode() + b"\n"


class Journal:
    """The journal of one bucket. Not being able to write it keeps nobody from sending."""

    def __init__(self, bucket: str) -> None:
        self._name = _name(bucket)
        self._descriptor: int | None = None
        self._closed = False
        self._waiting: list[bytes] = []
        self._known: set[bytes] | None = None
        self._placed: set[bytes] | None = None

    def write(self, entry: Entry) -> None:
        """Append one line, with others."""
        self._waiting.append(entry.line)
        if len(self._waiting) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what waits, in one step."""
        lines, self._waiting = b"".join(self._waiting), []
        if lines and self._descriptor is None and not self._closed:
            self._open()
        if lines and self._descriptor is not None:
            try:
                os.write(self._descriptor, lines)
            except OSError:
                self.close()

    def knows(self, key: str, source_sha256: str, etag: str) -> bool:
        """Whether a file with this content was sent to this key and S3 answered this ETag."""
        if self._known is None:
            self._known = {_mark(one.key, one.source_sha256, one.etag) for one in self.entries()}
        return _mark(key, source_sha256, etag) in self._known

    def has_place(self, key: str, path: str) -> bool:
        """Whether the file at this path was noted as the picture of this key."""
        if self._placed is None:
            self._placed = {_mark(one.key, one.path) for one in self.entries()}
        return _mark(key, path) in self._placed

    def entries(self) -> Iterator[Entry]:
        """All that can be read, the oldest first."""
        try:
            for line in file_io.lines(to_read() / self._name, longest=_LONGEST_LINE):
                if (entry := _entry(line)) is not None:
                    yield entry
        except (OSError, Problem):
            return

    def close(self) -> None:
        self.flush()
        self._closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        try:
            path = state_dir() / self._name
            _keep_latest(path)
            descriptor = file_io.open_own(path, os.O_WRONLY | os.O_APPEND | _NO_WAITING)
            # Ends a line that was cut, so that it does not spoil the next one.
            os.write(descriptor, b"\n")
            self._descriptor = descriptor
        except (OSError, Problem):
            self._closed = True


def forget(bucket: str) -> None:
    """Remove the journal of a bucket that is gone."""
    try:
        (to_read() / _name(bucket)).unlink(missing_ok=True)
    except (OSError, Problem):
        return


def _name(bucket: str) -> str:
    return f"sent-{bucket}.jsonl"


def _keep_latest(path: Path) -> None:
    """Cut the older half off a journal that has grown too large. Raises OSError."""
    if not path.is_symlink() and path.exists() and path.stat().st_size > MAX_BYTES:
        content = file_io.read(path, at_most=2 * MAX_BYTES)
        file_io.write(path, content[len(content) // 2 :].partition(b"\n")[2])


def _mark(*facts: str) -> bytes:
    """Short: there may be a hundred thousand."""
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogatepass")).digest()[:16]


def _entry(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):  # cut, or longer than any of ours
        return None
    try:
        found = json.loads(line)
        version = found["versionId"]
        return Entry(
            str(found["key"]),
            int(found["size"]),
            str(found["source"]),
            str(found["sent"]),
            str(found["etag"]),
            None if version is None else str(version),
            str(found.get("path", "")),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
