"""What there is to save of MiniStack, in its own format, and loading it again at the next start."""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from imgpipe_cli.local.emulator.saved_state import PENDING, Damage, Reader, read, reason, refusal, take_older
from imgpipe_cli.local.files import LocalFiles

LOGGER = logging.getLogger("imgpipe.local")


class Uncopied:
    """Lets a service's get_state() hand out its live data, for the moment of encoding it.

    get_state() copies everything deeply, which for a table of some thousand pictures takes seconds and
    meets "dictionary changed size" as long as pictures arrive. The JSON encoder runs in one piece, so it
    needs no copy. Only for services whose get_state() changes nothing in its copy, and that grow with the
    pictures: results and logs.
    """

    def __init__(self, *modules: Any) -> None:
        self._names = frozenset(module.__name__.rpartition(".")[2] for module in modules)
        self._encoding = threading.local()
        for module in modules:
            # Their `import copy`; everywhere but in our encoding it does what it always did.
            module.copy = SimpleNamespace(copy=copy.copy, deepcopy=self._deepcopy)

    def state(self, name: str, get_state: Callable[[], Any]) -> Any:
        self._encoding.now = name in self._names
        try:
            return get_state()
        finally:
            self._encoding.now = False

    def _deepcopy(self, value: Any) -> Any:
        return value if getattr(self._encoding, "now", False) else copy.deepcopy(value)


class MiniStackState:
    """The parts of a snapshot: one for each MiniStack service in use, and our own pending events."""

    def __init__(
        self,
        app: Any,
        persistence: Any,
        lambda_svc: Any,
        uncopied: Uncopied,
        pending: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._app = app
        self._persistence = persistence
        self._uncopied = uncopied
        self._pending = pending
        self._prune = lambda_svc._prune_orphan_code_blobs
        self._referenced: set[str] = set()
        # get_state() deletes the code that the new state no longer names before that state is written: a
        # kill in between would leave functions without code. So only remember here, and delete after the
        # save.
        lambda_svc._prune_orphan_code_blobs = self._remember

    def parts(self) -> Mapping[str, Callable[[], str | None]]:
        found: dict[str, Callable[[], str | None]] = {
            name: self._part(name, get_state)
            for name, get_state in self._app._build_persistence_save_dict().items()
        }
        return {**found, PENDING: lambda: json.dumps({"events": self._pending()})}

    def load(self, files: LocalFiles, *, older: bool) -> list[dict[str, Any]]:
        """Give MiniStack what was saved, once and before it serves; the events that waited. Raises Problem
        for what is damaged. older: take what was saved before it instead.

        MiniStack itself would log such a file and start without it.
        """
        reader = Reader(
            frozenset(self._app._state_map),
            self._persistence._json_object_hook,
            self._persistence._state_format_version,
        )
        parts, damages = read(files, reader)
        if not damages:
            damages = self._given(parts)
        if damages and older:
            for damage in damages:
                LOGGER.warning("%s %s: it is kept in %s", damage.name, damage.why, files.damaged)
            take_older(files, damages, reader)
            parts, damages = read(files, reader)
            damages = damages or self._given(parts)
        if damages:
            raise refusal(files, damages, reader)
        # From now on only our own snapshots load and save: MiniStack's at its end would replace newer files
        # by older ones.
        self._app.PERSIST_STATE = False
        events: list[dict[str, Any]] = parts.get(PENDING, {}).get("events", [])
        return events

    def _given(self, parts: Mapping[str, Any]) -> list[Damage]:
        damages = []
        for name, module in self._app._state_map.items():
            if parts.get(name):
                try:
                    self._app._get_module(module).load_persisted_state(parts[name])
                except Exception as error:
                    LOGGER.exception("%s cannot be restored", name)
                    damages.append(Damage(f"{name}.json", f"cannot be restored: {reason(error)}"))
        return damages

    def prune(self) -> None:
        """Delete code that no saved function uses; call after a save."""
        if self._referenced:
            self._prune(self._referenced)

    def _remember(self, referenced: set[str]) -> None:
        self._referenced = set(referenced)

    def _part(self, name: str, get_state: Callable[[], Any]) -> Callable[[], str | None]:
        def text() -> str | None:
            state = self._uncopied.state(name, get_state)
            if state is None:
                return None
            return json.dumps(
                {"__ministack_format__": self._persistence._state_format_version(name), "payload": state},
                default=self._persistence._json_default,
            )

        return text
