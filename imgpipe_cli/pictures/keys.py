"""The keys of pictures: how they are written, and what S3 takes as one."""

from __future__ import annotations

import os
import shlex
import unicodedata

from imgpipe_cli.errors import ExitCode, Problem

MAX_BYTES = 1024

CONVERTED = ".jpg"
"""Behind the name of a file that was converted: its key leads back to it, and is that of no other file."""


def decoded(text: str) -> str:
    """What was typed, or names a file, read as UTF-8 also where the system's language knows only ASCII."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text


def composed(key: str) -> str:
    """In NFC, as uploads write every key: some systems hand out names decomposed, which look the same."""
    return unicodedata.normalize("NFC", decoded(key))


def size_bytes(key: str) -> int:
    """In UTF-8. Raises UnicodeEncodeError for what came from undecodable bytes."""
    return len(key.encode())


def argument(key: str) -> str:
    """As it is typed at the end of a command: quoted for a shell, and never taken for an option."""
    quoted = shlex.quote(key) if key.isprintable() else f"$'{''.join(map(_escaped, key))}'"
    return f"-- {quoted}" if key.startswith("-") else quoted


def _escaped(char: str) -> str:
    """For bash and zsh between $' and ': what a terminal would not show could not be copied from it."""
    if char.isprintable():
        return f"\\{char}" if char in "\\'" else char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def check_key(key: str) -> str:
    """Return the key as it was typed, or raise a usage Problem if no picture can have it."""
    key = decoded(key)
    try:
        size = size_bytes(key)
    except UnicodeEncodeError as error:
        raise _bad(f"The key {key!r} is not valid Unicode.") from error
    if not 1 <= size <= MAX_BYTES:
        raise _bad(f"A key has 1 to {MAX_BYTES} bytes, this one has {size}.")
    return key


def _bad(message: str) -> Problem:
    hint = "See the keys there are with imgpipe list."
    return Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)
