"""One command line, as far as it has been read: enough to report an error in the form that was asked for.

Loads nothing: it is there before anything can go wrong, and `--version` starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe_cli.commands.chosen import Options
    from imgpipe_cli.commands.table import Entry


class Invocation:
    """command: as the JSON documents name it. waits: with `--wait`. begun: whether the command runs."""

    def __init__(self) -> None:
        self.command = "imgpipe"
        self.options: Options | None = None
        self.waits = False
        self.begun = False

    @property
    def json(self) -> bool:
        return self.options is not None and self.options.json

    @property
    def verbose(self) -> bool:
        return self.options is not None and self.options.verbose

    @property
    def streams(self) -> bool:
        """Whether it prints one JSON document a line."""
        entry = self._entry()
        return entry is not None and (
            entry.streams == "always" or (entry.streams == "waiting" and self.waits)
        )

    @property
    def only_reads(self) -> bool:
        """Whether nothing is lost with output that nobody takes, as that of help."""
        entry = self._entry()
        return entry.reads if entry is not None else self.command == "imgpipe"

    def _entry(self) -> Entry | None:
        """None for `imgpipe` itself, and for what the table does not list."""
        from imgpipe_cli.commands.table import COMMANDS

        return COMMANDS.get(self.command)
