"""Expected errors: what went wrong, where, and what the user can do next.

A `Problem` may be raised anywhere; only `cli.py` turns it into text and an exit code.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes that a script can branch on; docs/reference/output.md lists them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_SET_UP = 3
    PENDING = 4
    INTERRUPTED = 130


class Problem(Exception):
    """An error the user can act on.

    code: a snake_case noun that scripts read in --json; message: where and what, one sentence;
    hint: what to do next, one sentence, may be empty.
    """

    def __init__(
        self, code: str, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.FAILED
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class Unwritable(Exception):
    """Standard output takes nothing any more; why: what the system says."""

    def __init__(self, why: OSError) -> None:
        super().__init__(str(why))
        self.why = why


def sentence(text: str) -> str:
    """The text on one line with a full stop at its end."""
    text = " ".join(text.split())
    return text if text.endswith(".") else f"{text}."
