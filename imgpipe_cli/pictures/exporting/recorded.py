"""Results in a file of JSON lines, as `imgpipe list --json` and `imgpipe export --to jsonl` write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.system import file_io

if TYPE_CHECKING:
    from imgpipe_cli.pictures.listing import Wanted
    from shared.result_item import ResultItem

# A result has at most 400 kB in its store; written with escapes it may have six times as many.
_LONGEST_LINE = 4 * 1024 * 1024
# List of findings -> what each of them must have.
_NEEDED: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "labels": {"Name": str, "Confidence": (int, float)},
    "moderation": {"Name": str, "Confidence": (int, float)},
    "text": {"DetectedText": str, "Confidence": (int, float)},
    "faces": {"Confidence": (int, float)},
}
_NUMBER = (int, float)
_BOX = dict.fromkeys(("Left", "Top", "Width", "Height"), (int, float))
_NAMED = {"Name": str}
_PLACED: Mapping[str, type | tuple[type, ...]] = {"Confidence": _NUMBER, "BoundingBox": dict}


def read(path: Path, on_other: Callable[[int], None]) -> Iterator[ResultItem]:
    """The results in the order of the file. on_other: told the number of each line that is no result.

    Raises Problem where the file cannot be read.
    """
    try:
        for number, line in enumerate(file_io.lines(path, longest=_LONGEST_LINE), start=1):
            if line.isspace():
                continue
            item = _item(line)
            if item is None:
                on_other(number)
            else:
                yield item
    except OSError as error:
        raise Problem(
            "unreadable",
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Name a file of results with --from, such as imgpipe list --limit 0 --json writes.",
            exit_code=ExitCode.USAGE,
        ) from error


def matching(items: Iterator[ResultItem], wanted: Wanted) -> Iterator[ResultItem]:
    """The wanted ones. A key counts once, as in a list: its first result, which is the newest there."""
    told: set[int] = set()
    for item in items:
        # There may be hundreds of thousands: numbers take less room than keys.
        key = hash(item["objectKey"])
        if key in told or item["analyzedAt"] < wanted.since or not wanted.matches(item):
            continue
        told.add(key)
        yield item


def _item(line: bytes) -> ResultItem | None:
    try:
        found = json.loads(line, parse_constant=_no_number)
        if b"\\ud" in line:
            json.dumps(found, ensure_ascii=False).encode()  # halves of characters are no text
    except (ValueError, RecursionError):
        return None
    return cast("ResultItem", found) if _is_result(found) else None


def _is_result(found: Any) -> bool:
    """Whether all that an export reads of it is there and of its kind."""
    if not isinstance(found, dict) or found.get("status") not in ("done", "failed"):
        return False
    if not (isinstance(found.get("objectKey"), str) and _is_time(found.get("analyzedAt"))):
        return False
    if not all(isinstance(found.get(name, 1), int) for name in ("width", "height", "sizeBytes")):
        return False
    if found["status"] == "failed" and not _has(found.get("error"), {"code": str, "message": str}):
        return False
    return all(
        isinstance(found.get(feature, []), list) and all(_has(one, needs) for one in found.get(feature, []))
        for feature, needs in _NEEDED.items()
    ) and all(map(_is_label, found.get("labels", [])))


def _is_time(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON's")


def _is_label(label: Mapping[str, Any]) -> bool:
    parents, aliases = label.get("Parents", []), label.get("Aliases", [])
    places = label.get("Instances", [])
    return (
        isinstance(parents, list)
        and isinstance(aliases, list)
        and isinstance(places, list)
        and all(_has(one, _NAMED) for one in (*parents, *aliases))
        and all(_has(one, _PLACED) and _has(one["BoundingBox"], _BOX) for one in places)
    )


def _has(found: Any, needs: Mapping[str, type | tuple[type, ...]]) -> bool:
    if not isinstance(found, dict):
        return False
    # Not with all(): this is asked for each finding of each result.
    for name, kind in needs.items():  # noqa: SIM110
        if not isinstance(found.get(name), kind):
            return False
    return True
