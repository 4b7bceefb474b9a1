"""JSON lines: each result as it is, the way `imgpipe export --from` reads them again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe_cli.pictures.exporting.formats import Stream
    from shared.result_item import ResultItem


def write(items: Iterable[ResultItem], stream: Stream) -> None:
    for item in items:
        stream.write(json.dumps(item) + "\n")
