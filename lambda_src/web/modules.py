"""The page's JavaScript modules as one text.

The sources are plain modules that any browser could load one by one. They are joined when they are read,
because each file is a request of its own, a request is a run of the function, and a new AWS account may run
only ten at once. `imgpipe open --save` joins them the same way. Standard library only: the command line loads
this very file.

Joined, the modules share one scope: no two may have a top-level name in common.
"""

from __future__ import annotations

import re
from pathlib import Path

START = "app.js"

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|class|const|let)", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def joined(folder: Path) -> str:
    """`app.js` and all that it imports, each module once and after those that it needs.

    Raises ValueError for an import or export in another form than these modules use.
    """
    done: dict[str, str] = {}
    _add(folder, START, done)
    text = "\n".join(done.values())
    if found := _LEFT_OVER.search(text):
        raise ValueError(f"cannot join: {found[0]}")
    return text


def _add(folder: Path, name: str, done: dict[str, str]) -> None:
    if name in done:
        return
    # Line ends as in the repository, also in a checkout on Windows.
    source = (folder / name).read_text(encoding="utf-8").replace("\r\n", "\n")
    for needed in _IMPORT.findall(source):
        _add(folder, needed, done)
    done[name] = _EXPORT.sub("", _IMPORT.sub("", source)).strip() + "\n"
