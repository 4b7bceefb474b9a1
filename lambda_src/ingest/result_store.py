"""What the ingest function asks of the place where results are kept, be it a table or a bucket.

What may follow on what is decided in `history.py` alone, and since every write has the condition that nothing
has changed since the read, no order of events can put an old result over a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ingest import timeouts
from ingest.backoff import Backoff

if TYPE_CHECKING:
    from shared.result_item import Stored


class ResultStore(Protocol):
    """Where results are kept, as the ingest function uses it. What the store itself raises comes through."""

    def read(self, key: str) -> Stored | None:
        """The stored item with its internal attributes, or None. Never stale: that would pay twice."""
        ...

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        """Put `item` in place of what was `seen`; False when that has changed since."""
        ...


@dataclass(frozen=True, kw_only=True)
class PatientStore:
    """A store while there is something to lose: what was bought, and is stored nowhere yet."""

    store: ResultStore
    backoff: Backoff

    def read(self, key: str) -> Stored | None:
        return self.backoff.call(lambda: self.store.read(key), keep_s=timeouts.STORING_S)

    def replace(self, item: Stored, *, seen: Stored | None) -> bool:
        return self.backoff.call(lambda: self.store.replace(item, seen=seen), keep_s=timeouts.STORING_S)
