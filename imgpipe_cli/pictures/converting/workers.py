"""The processes that convert pictures: as many as there are cores, started when the first is needed."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from imgpipe_cli.pictures.converting.kinds import MAX_PIXELS
from imgpipe_cli.system.threads import Pool

_WORKER = (sys.executable, "-P", "-m", "imgpipe_cli.pictures.converting.worker")
# Each needs 60 MB, and what the pixels take.
_MOST = 8
# From the moment in which it has memory for its pixels, or has told how many they are.
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Converted:
    """is_smaller: it had more pixels."""

    jpeg: bytes
    is_smaller: bool


@dataclass(frozen=True)
class NotConverted:
    """code: as of a refusal; reason: what is wrong with the file, as the end of a sentence."""

    code: str
    reason: str


Answer = Converted | NotConverted
_CRASHED = NotConverted("corrupt", "what decodes it crashed")
_TOO_SLOW = NotConverted("corrupt", "decoding it takes too long")


class Converter:
    """Converts pictures side by side. At no time more pixels are decoded than the largest may have."""

    def __init__(self, *, workers: int | None = None) -> None:
        count = workers or min(os.cpu_count() or 1, _MOST)
        self.timeout_s = _TIMEOUT_S
        self._pool = Pool(count, thread_name_prefix="convert")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._pixels = _Pixels(MAX_PIXELS)
        self._closed = False

    def convert(
        self, file: Path | bytes, kind: str, on_answer: Callable[[Answer], object]
    ) -> Callable[[], object]:
        """Begin; `on_answer` is called in another thread. What is returned cancels what has not begun."""

        def work() -> None:
            on_answer(self._converted(file, kind))

        return self._pool.submit(work).cancel

    def close(self) -> None:
        """End all of them, and wait for nothing."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for worker in self._all:
                worker.end()

    def _converted(self, file: Path | bytes, kind: str) -> Answer:
        try:
            worker = self._worker()
            try:
                answer = worker.convert(file, kind, self._pixels, self.timeout_s)
            except (OSError, ValueError):  # its pipes were cut, or hold nothing whole
                self._forget(worker)
                return _TOO_SLOW if worker.is_late else _CRASHED
            self._idle.put(worker)
            return answer
        except OSError as error:
            why = error.strerror or str(error)
            return NotConverted("not_converted", f"no process could be started for it: {why}")

    def _worker(self) -> _Worker:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        worker = _Worker()
        with self._lock:
            self._all.add(worker)
            if self._closed:
                worker.end()
        return worker

    def _forget(self, worker: _Worker) -> None:
        worker.end()
        with self._lock:
            self._all.discard(worker)


class _Worker:
    """One process. is_late: it was ended since it took too long."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.is_late = False
        pipe = subprocess.PIPE
        # Libraries print what they think of damaged files.
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            _WORKER, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, **_apart()
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout

    def convert(self, file: Path | bytes, kind: str, pixels: _Pixels, timeout_s: float) -> Answer:
        """Raises OSError or ValueError where the process has ended."""
        where = {"bytes": len(file)} if isinstance(file, bytes) else {"path": str(file)}
        with self._ended_after(timeout_s):
            self._in.write(json.dumps({"kind": kind, **where}).encode() + b"\n")
            if isinstance(file, bytes):
                self._in.write(file)
            self._in.flush()
            told = self._told()
        if "pixels" in told:
            with pixels.taken(told["pixels"]), self._ended_after(timeout_s):
                self._in.write(b"\n")
                self._in.flush()
                told = self._told()
                if "bytes" in told:
                    return Converted(self._out.read(told["bytes"]), told["smaller"])
        return NotConverted(told["code"], told["reason"])

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError):
                pipe.close()

    def _told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._out.readline())
        return found

    @contextmanager
    def _ended_after(self, seconds: float) -> Iterator[None]:
        def late() -> None:
            self.is_late = True
            self._process.kill()

        timer = threading.Timer(seconds, late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _Pixels:
    """So many may be decoded at the same time, by all processes together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        count = min(count, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + count <= self._most)
            self._taken += count
        try:
            yield
        finally:
            with self._changed:
                self._taken -= count
                self._changed.notify_all()


def _apart() -> dict[str, Any]:
    """Ctrl-C in the terminal is for us: we end them."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
