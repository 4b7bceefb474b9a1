"""`imgpipe.toml`: options that a folder fixes for everyone who works in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.system import file_io

FILE = "imgpipe.toml"
_MAX_BYTES = 64 * 1024
# Option -> the types its value may have in the file.
_KEYS: dict[str, tuple[type, ...]] = {
    "project": (str,),
    "profile": (str,),
    "region": (str,),
    "local": (bool,),
    "features": (str, list),
    "min_confidence": (int, float),
    "private": (bool,),
    "results": (str,),
    "rekognition_tps": (int, float),
    "monthly_limit": (int,),
}
_KINDS: dict[type, str] = {
    str: "a text",
    list: "a list of names",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}
_MOST_TPS = 100_000
_HIGHEST_LIMIT = 1_000_000_000


def read(folder: Path) -> dict[str, Any]:
    """The options of the folder's file; empty without one. Raises Problem("bad_configuration")."""
    text = _text(folder / FILE)
    import tomllib

    try:
        options = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, or a number of thousands of digits
        raise _bad(f"{FILE} is not valid TOML: {error}", "Repair that line.") from error
    for key, value in options.items():
        if key not in _KEYS:
            raise _bad(f"{FILE} has an unknown option {key!r}", f"Known are {', '.join(_KEYS)}.")
        if not isinstance(value, _KEYS[key]) or (isinstance(value, bool) and bool not in _KEYS[key]):
            kinds = _KEYS[key]
            said = [_KINDS[kind] for kind in kinds if kind is not int or float not in kinds]
            raise _bad(f"{key} in {FILE} is {value!r}", f"Write {' or '.join(said)}.")
        if isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
            raise _bad(f"{key} in {FILE} is {value!r}", "Write a list of names.")
        if isinstance(value, int | float):
            _check_number(key, value)
    return options


def _check_number(key: str, value: float) -> None:
    if key == "rekognition_tps" and not 0 < value <= _MOST_TPS:
        raise _bad(f"{key} in {FILE} is {value!r}", f"Write a number above 0, at most {_MOST_TPS:,}.")
    if key == "monthly_limit" and not 0 <= value <= _HIGHEST_LIMIT:
        raise _bad(f"{key} in {FILE} is {value!r}", f"Write a number from 0 to {_HIGHEST_LIMIT:,}.")
    if key == "min_confidence" and not 0 <= value <= 100:
        raise _bad(f"{key} in {FILE} is {value!r}", "Write a number from 0 to 100.")


def _text(path: Path) -> str:
    """What is in the file; nothing without one."""
    try:
        data = file_io.read(path, at_most=_MAX_BYTES + 1)
        text = data.decode("utf-8-sig")  # Windows editors may add a mark at the start
    except FileNotFoundError:
        return ""
    except OSError as error:
        why, hint = error.strerror or error, "Make it a file that you may read, or remove it."
        raise _bad(f"{FILE} cannot be read: {why}", hint) from error
    except UnicodeDecodeError as error:
        raise _bad(f"{FILE} cannot be read: {error}", "Save it as UTF-8 text.") from error
    if len(data) > _MAX_BYTES:
        raise _bad(f"{FILE} has more than {_MAX_BYTES:,} bytes", "Leave only imgpipe's options in it.")
    return text


def _bad(message: str, hint: str) -> Problem:
    return Problem("bad_configuration", f"{message}.", hint=hint, exit_code=ExitCode.USAGE)
