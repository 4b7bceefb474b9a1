"""The local cloud's state on disk, so that a kill at any time costs seconds of work and never the whole.

Files are replaced one by one, each in one step, and only when their content changed. MiniStack itself
saves only at a clean stop.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from imgpipe_cli import private_files

LOGGER = logging.getLogger("imgpipe.local.snapshots")

# A quiet moment after the last write, so that a burst of calls is saved once ...
_QUIET_S = 2.0
# ... but never later than this after the first unsaved one.
_LATEST_S = 10.0
# A large state takes long to copy; then both grow with it, so that saving takes at most a tenth of the time.
_SHARE = 10
# State changes while it is copied ("dictionary changed size during iteration"): look again, a few times.
_ATTEMPTS = 5

# Each part's text, made when it is asked for; None means "leave what is on disk".
Parts = Callable[[], Mapping[str, Callable[[], str | None]]]


class Snapshots:
    """Saves every part that changed to `folder/<part>.json`, then calls `after`."""

    def __init__(self, folder: Path, parts: Parts, *, after: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._parts = parts
        self._after = after
        self._saved: dict[str, bytes] = {}
        self._saving = threading.Lock()
        self._last_write = 0.0
        self._took_s = 0.0
        self._first_unsaved = 0.0

    def touch(self) -> None:
        """Something was written; callable from any thread."""
        now = time.monotonic()
        self._first_unsaved = self._first_unsaved or now
        self._last_write = now

    def due(self, now: float) -> bool:
        """Whether it is time to save."""
        if not self._first_unsaved:
            return False
        pause_s = self._took_s * _SHARE
        quiet = now - self._last_write >= max(_QUIET_S, pause_s)
        return quiet or now - self._first_unsaved >= max(_LATEST_S, pause_s)

    def save(self) -> list[str]:
        """Write the parts that changed; their names."""
        with self._saving:
            self._first_unsaved = 0.0
            started = time.monotonic()
            written = [name for name, text in self._parts().items() if self._save_part(name, text)]
            self._after()
            self._took_s = time.monotonic() - started
            LOGGER.debug("saved %s in %.0f ms", ", ".join(written) or "nothing", self._took_s * 1000)
            return written

    async def run(self) -> None:
        """Save whenever it is due, until cancelled."""
        while True:
            await asyncio.sleep(0.25)
            if self.due(time.monotonic()):
                try:
                    await asyncio.to_thread(self.save)
                except OSError:
                    # A full disk must not end the loop: the next write tries again.
                    LOGGER.exception("could not save the state")
                    self.touch()

    def _save_part(self, name: str, text: Callable[[], str | None]) -> bool:
        content = self._stable(name, text)
        if content is None:
            return False
        digest = hashlib.sha256(content.encode()).digest()
        if self._saved.get(name) == digest:
            return False
        private_files.write(self._folder / f"{name}.json", content)
        self._saved[name] = digest
        return True

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
