"""The local cloud's state on disk, so that a kill at any time costs seconds of work and never the whole.

Files are replaced one by one, each in one step, and only when their content changed. Before that, what was
saved last is copied beside it: one older snapshot is kept. MiniStack itself saves only at a clean stop.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from imgpipe_cli.local.emulator.saved_state import CODE, reason
from imgpipe_cli.system import file_io

LOGGER = logging.getLogger("imgpipe.local.snapshots")

# A quiet moment after the last write, so that a burst of calls is saved once ...
_QUIET_S = 2.0
# ... but never later than this after the first unsaved one.
_LATEST_S = 10.0
# What failed is tried again soon: until it succeeds, nobody may store anything.
_AGAIN_S = 1.0
# A large state takes long to copy; then both grow with it, so that saving takes at most a tenth of the time.
_SHARE = 10
# State changes while it is copied ("dictionary changed size during iteration"): look again, a few times.
_ATTEMPTS = 5

# Each part's text, made when it is asked for; None means "leave what is on disk".
Parts = Callable[[], Mapping[str, Callable[[], str | None]]]


class Snapshots:
    """Saves every part that changed to `folder/<part>.json`, then calls `after`. older: where the snapshot
    before is kept."""

    def __init__(
        self, folder: Path, older: Path, parts: Parts, *, after: Callable[[], None] = lambda: None
    ) -> None:
        self._folder = folder
        self._older = older
        self._parts = parts
        self._after = after
        self._saved: dict[str, bytes] = {}
        self._kept: dict[Path, bytes] = {}
        self._saving = threading.Lock()
        self._last_write = 0.0
        self._took_s = 0.0
        self._first_unsaved = 0.0
        self._tried = 0.0
        self._sizes: dict[str, int] = {}
        self.trouble = ""

    def sizes(self) -> tuple[int, int]:
        """The bytes of what was saved last: of all, and of the largest part."""
        sizes = list(self._sizes.values())
        return sum(sizes), max(sizes, default=0)

    def touch(self) -> None:
        """Something was written; callable from any thread."""
        now = time.monotonic()
        self._first_unsaved = self._first_unsaved or now
        self._last_write = now

    def due(self, now: float) -> bool:
        """Whether it is time to save."""
        if not self._first_unsaved:
            return False
        if self.trouble:
            return now - self._tried >= _AGAIN_S
        pause_s = self._took_s * _SHARE
        quiet = now - self._last_write >= max(_QUIET_S, pause_s)
        return quiet or now - self._first_unsaved >= max(_LATEST_S, pause_s)

    def save(self) -> list[str]:
        """Write the parts that changed; their names. Raises OSError after all were tried; `trouble` says why
        until a save succeeds."""
        with self._saving:
            self._first_unsaved = 0.0
            started = self._tried = time.monotonic()
            try:
                written = self._save_all()
            except OSError as error:
                self.trouble = reason(error)
                self.touch()
                raise
            self.trouble = ""
            self._after()
            self._took_s = time.monotonic() - started
            LOGGER.debug("saved %s in %.0f ms", ", ".join(written) or "nothing", self._took_s * 1000)
            return written

    def _save_all(self) -> list[str]:
        written: list[str] = []
        failed: OSError | None = None
        try:
            for folder in (self._folder, self._older):  # they may have been removed
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._keep_older()
        except OSError as error:
            failed = error
        for name, text in self._parts().items():
            try:
                if self._save_part(name, text):
                    written.append(name)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed
        file_io.sync_folder(self._folder)
        return written

    async def run(self) -> None:
        """Save whenever it is due, until cancelled."""
        while True:
            await asyncio.sleep(0.25)
            if self.due(time.monotonic()):
                try:
                    await asyncio.to_thread(self.save)
                except OSError:
                    # A full disk must not end the loop: it is tried again until there is room.
                    LOGGER.error("could not save the state: %s", self.trouble)

    def _save_part(self, name: str, text: Callable[[], str | None]) -> bool:
        content = self._stable(name, text)
        if content is None:
            return False
        encoded = content.encode()
        digest = hashlib.sha256(encoded).digest()
        self._sizes[name] = len(encoded)
        path = self._folder / f"{name}.json"
        if self._saved.get(name) == digest and path.exists():
            return False
        file_io.write(path, encoded, durable=True)
        self._saved[name] = digest
        return True

    def _keep_older(self) -> None:
        """Bring the older snapshot up to what was saved last, while that is as it was saved."""
        for path in (*self._folder.glob("*.json"), *self._folder.glob(f"{CODE}/*.zip")):
            saved = self._saved.get(path.stem)
            if path in self._kept and saved in (None, self._kept[path]):
                continue
            content = path.read_bytes()
            digest = hashlib.sha256(content).digest()
            if saved not in (None, digest):
                del self._saved[path.stem]  # something else changed it: this time it is written anew
                continue
            kept = self._older / path.relative_to(self._folder)
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            file_io.write(kept, content, durable=True)
            self._kept[path] = digest
        for code in self._older.glob(f"{CODE}/*.zip"):
            if not (self._folder / CODE / code.name).exists():
                code.unlink(missing_ok=True)
        file_io.sync_folder(self._older)

    def _stable(self, name: str, text: Callable[[], str | None]) -> str | None:
        for attempt in range(_ATTEMPTS):
            try:
                return text()
            except RuntimeError:
                time.sleep(0.02 * (attempt + 1))
            except (TypeError, ValueError):
                LOGGER.exception("%s cannot be saved", name)
                return None
        LOGGER.warning("%s kept changing while it was saved; it is tried again", name)
        self.touch()
        return None
