"""One command line, as far as it has been read: enough to report an error in the form that was asked for.

Loads nothing: it is there before anything can go wrong, and `--version` starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe_cli.commands.options import Options

# Commands that print one JSON document a line, and not only one.
_STREAMING = frozenset({"watch", "logs", "list", "local logs"})
# Commands that change nothing: a reader who has seen enough, as head has, has all of it.
_READING = frozenset(
    {
        *("imgpipe", "result", "list", "explain", "watch", "logs", "status", "doctor", "policy"),
        *("local status", "local logs", "local env", "local models"),
    }
)


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
        return self.command in _STREAMING or (self.command == "upload" and self.waits)

    @property
    def only_reads(self) -> bool:
        """Whether nothing is lost with output that nobody takes: help changes nothing either."""
        return not self.begun or self.command in _READING
