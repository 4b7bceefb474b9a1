"""The formats of `imgpipe export`: a format is one file and one entry here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


class Stream(Protocol):
    """What text is written to."""

    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True)
class Format:
    """kind: where it goes, and so how its `write` is called: write(items, stream) for text, which may also go
    to standard output; write(items, path) for a file; write(items, places) for sidecars.

    module: in this package. whole: findings below the threshold are in it too, unless one is asked for.
    """

    module: str
    kind: Literal["text", "file", "sidecars"]
    whole: bool = False

    @property
    def write(self) -> Callable[..., Any]:
        found: Callable[..., Any] = importlib.import_module(f"{__package__}.{self.module}").write
        return found


FORMATS: Mapping[str, Format] = {
    "csv": Format("comma_separated", "text"),
    "jsonl": Format("json_lines", "text", whole=True),
    "sqlite": Format("sqlite_database", "file"),
    "coco": Format("coco", "text"),
    "xmp": Format("xmp_sidecars", "sidecars"),
}
