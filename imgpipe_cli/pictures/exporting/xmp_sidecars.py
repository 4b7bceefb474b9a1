"""XMP sidecars: the labels as keywords, in a file beside each picture on this machine."""

from __future__ import annotations

import contextlib
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgpipe_cli.pictures.exporting.keywords import keywords
from imgpipe_cli.pictures.exporting.places import Places
from imgpipe_cli.pictures.exporting.xmp_packet import NotXmp, merged
from imgpipe_cli.system import file_io

if TYPE_CHECKING:
    from shared.result_item import ResultItem

Naming = Literal["short", "whole"]
NAMINGS: Mapping[str, Naming] = {"lightroom": "short", "darktable": "whole", "digikam": "whole"}
"""Photo tool -> how it names the sidecar of IMG_1.CR2: IMG_1.xmp, or IMG_1.CR2.xmp."""

# Of these only tools look for IMG_1.xmp: IMG_1.jpg beside IMG_1.CR2 has keywords of its own.
_RAW = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos"),
        *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
        ".x3f",
    )
)
# Those of darktable hold the whole history of a picture, and are far smaller.
_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Sidecars:
    """Where they go. naming: None for the one that is there already, and for a new one the short name."""

    places: Places
    naming: Naming | None = None

    def beside(self, picture: Path) -> Path:
        whole = picture.with_name(f"{picture.name}.xmp")
        short = picture.with_suffix(".xmp")
        if picture.suffix.lower() not in _RAW or self.naming == "whole":
            return whole
        return whole if self.naming is None and whole.exists() and not short.exists() else short


@dataclass
class Written:
    """What came of it. numbers: written, unchanged, not_here, another_version, and refused.

    refused: (sidecar or picture, why) of those that were left alone, the first of them.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[Path, str]] = field(default_factory=list)

    def refuse(self, path: Path, why: str, *, named: int = 20) -> None:
        self.numbers["refused"] += 1
        if len(self.refused) < named:
            self.refused.append((path, why))


def write(items: Iterable[ResultItem], sidecars: Sidecars) -> Written:
    """Bring the sidecars of finished pictures up to date; one that cannot be keeps no other from it."""
    written = Written()
    for item in items:
        if item["status"] != "done" or "labels" not in item:
            written.numbers["without_labels"] += 1
            continue
        picture = sidecars.places.of(item)
        if isinstance(picture, str):
            written.numbers[picture] += 1
            continue
        path = sidecars.beside(picture)
        try:
            written.numbers["written" if _update(path, item) else "unchanged"] += 1
        except NotXmp as error:
            written.refuse(path, str(error))
        except OSError as error:
            written.refuse(path, error.strerror or str(error))
    return written


def _update(path: Path, item: ResultItem) -> bool:
    """Whether there was anything to write. Raises NotXmp, OSError."""
    before: bytes | None = None
    mode = 0o666
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise NotXmp("it is a link")
        if found.st_size > _LARGEST:
            raise NotXmp("it is too large for a sidecar")
        mode, before = stat.S_IMODE(found.st_mode), file_io.read(path, at_most=_LARGEST)
    after = merged(before, keywords(item))
    if after is None:
        return False
    file_io.write(path, after, mode=mode)
    return True
