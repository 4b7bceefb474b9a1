"""How much there is to send in all: counted beside the sending, for the time that is left."""

from __future__ import annotations

import contextlib
import threading

from imgpipe_cli.pictures.sending.plan import Plan

# The names of a few files are read in less: so it is known at once that there is nothing to send.
_AT_ONCE_S = 0.01


class Total:
    """files, size_bytes: found so far; is_known: whether these are all."""

    def __init__(self, plan: Plan) -> None:
        self.files = 0
        self.size_bytes = 0
        self.is_known = False
        thread = threading.Thread(target=self._count, args=(plan,), name="count", daemon=True)
        thread.start()
        thread.join(_AT_ONCE_S)

    def _count(self, plan: Plan) -> None:
        with contextlib.suppress(OSError):  # which is told when the file's turn comes
            for size_bytes in plan.sizes():
                self.files += 1
                self.size_bytes += size_bytes
            self.is_known = True
