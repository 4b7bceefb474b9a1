"""Looks, while a run goes on, whether another run has changed what this one counts on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from imgpipe_cli.deploy.observe import Snapshot

# How often a run that waits looks whether another one has changed or removed the settings.
OVERTAKEN_EVERY_S = 5.0


class Watch:
    """Whether what this run has settled for several resources is still so.

    refuse_conflict: looks at what was settled, and raises ConflictError where it is another by now.
    """

    def __init__(self, clock: Callable[[], float], refuse_conflict: Callable[[Snapshot], None]) -> None:
        self.settled: Snapshot = {}
        self._clock = clock
        self._refuse_conflict = refuse_conflict
        self._looking = threading.Lock()
        self._looked_at = clock()

    def look(self, *, now: bool) -> None:
        """Look, if now is asked for or the last look was a while ago. Raises ConflictError."""
        with self._looking:
            clock = self._clock()
            if now or clock - self._looked_at >= OVERTAKEN_EVERY_S:
                self._looked_at = clock
                self._refuse_conflict(dict(self.settled))
