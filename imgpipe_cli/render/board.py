"""Where each step stands, gathered from the events; drawn live on a terminal, line by line elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from imgpipe_cli.events import (
    Changing,
    Copied,
    Counted,
    Event,
    Looking,
    Settled,
    Skipped,
    Verb,
    Waiting,
)
from imgpipe_cli.render.text import safe, seconds

if TYPE_CHECKING:
    from imgpipe_cli.deploy.resource import Step

DONE_WORDS: Mapping[Verb, str] = {
    "create": "created",
    "set": "set",
    "update": "updated",
    "add": "added",
    "open": "opened",
    "copy": "copied",
    "delete": "deleted",
    "remove": "removed",
    "detach": "detached",
    "empty": "emptied",
}
# Why `down` leaves a thing alone.
LEFT_WORDS: Mapping[str, str] = {
    "foreign": "not imgpipe's, left alone",
    "unmarked": "empty and without tags, left alone",
    "kept": "kept",
    "stray": "under another name, left alone",
}


@dataclass
class Row:
    """One step as people see it."""

    number: int
    title: str
    waiting_for: set[str]
    state: Literal["pending", "busy", "done", "unchanged", "left"] = "pending"
    detail: str = ""
    changed: list[str] = field(default_factory=list)
    told: bool = False

    @property
    def summary(self) -> str:
        if self.state == "done":
            first, *more = self.changed
            return f"{first}, and {len(more)} more" if more else first
        return self.detail


class Board:
    """All rows in order; thread-safe, since steps report from several threads."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._lock = threading.Lock()
        self.rows = {
            step.name: Row(number, step.title, {resource.name for resource in step.resources})
            for number, step in enumerate(steps)
        }

    def event(self, event: Event) -> None:
        step = getattr(event, "step", None)
        row = self.rows.get(step) if step else None
        if row is None:
            return
        with self._lock:
            self._apply(row, event)

    def _apply(self, row: Row, event: Event) -> None:
        match event:
            case Looking():
                row.detail = "looking"
            case Changing(verb=verb, what=what):
                row.state, row.detail = "busy", f"{verb} {safe(what)}"
                done = f"{DONE_WORDS[verb]} {safe(what)}"
                if done not in row.changed:
                    row.changed.append(done)
            case Waiting(detail=detail, waited_s=waited_s):
                row.state, row.detail = "busy", f"{safe(detail)}, {seconds(waited_s)}"
            case Copied(done=copied, verb=verb):
                row.state, row.detail = "busy", f"{copied:,} results {verb}"
            case Counted(done=done_count):
                row.state, row.detail = "busy", f"{done_count:,} versions deleted"
            case Skipped(why=why):
                row.state, row.detail = "left", LEFT_WORDS[why]
            case Settled(resource=resource):
                row.waiting_for.discard(resource)
                if not row.waiting_for and row.state != "left":
                    row.state = "done" if row.changed else "unchanged"
                    row.detail = ""

    def news(self) -> list[Row]:
        """Finished rows not told yet, in the order of the steps: a later one waits for its turn."""
        found = []
        with self._lock:
            for row in self.rows.values():
                if row.state not in ("done", "unchanged", "left"):
                    break
                if not row.told:
                    row.told = True
                    found.append(row)
        return found

    def only(self, resources: set[str]) -> None:
        """Wait for these resources only: `down` touches what is there."""
        with self._lock:
            for row in self.rows.values():
                row.waiting_for &= resources
                row.detail = "" if row.state == "pending" else row.detail
