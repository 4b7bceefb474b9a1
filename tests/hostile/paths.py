"""Hostile things in the place of a file, and what `imgpipe upload` makes of each.

Each is made in an empty current folder that holds one good picture, `cat.jpg`.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.pictures import jpeg

LONGEST = "x" * 251 + ".jpg"
UNDECODABLE = os.fsdecode(b"a\xff\xfe.jpg")
ESCAPE = "a\x1b[2J\n\u202e.jpg"


@dataclass(frozen=True)
class PathRow:
    """code: that of the exit. sent: the keys then in the bucket. refused: the codes of what is not sent."""

    id: str
    make: Callable[[], object]
    arguments: tuple[str, ...]
    code: int
    sent: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    there: Callable[[], bool] = lambda: True


def nothing() -> None:
    """The good picture will do."""


def picture(name: str) -> Callable[[], object]:
    def make() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(jpeg())

    return make


def all_of(*steps: Callable[[], object]) -> Callable[[], object]:
    def make() -> None:
        for step in steps:
            step()

    return make


def pipe(name: str) -> Callable[[], object]:
    return lambda: os.mkfifo(name)


def link(name: str, target: str) -> Callable[[], object]:
    return lambda: Path(name).symlink_to(target)


def listening(name: str) -> Callable[[], object]:
    def make() -> None:
        with socket.socket(socket.AF_UNIX) as found:
            found.bind(name)

    return make


def unreadable() -> None:
    Path("cat.jpg").chmod(0)


def forbidden_folder() -> None:
    picture("pics/a.jpg")()
    Path("pics").chmod(0)


def deep() -> None:
    """So deep that the key of what is at the bottom has too many bytes."""
    place = Path("deep")
    for _ in range(6):
        place /= "x" * 200
    place.mkdir(parents=True)
    (place / "a.jpg").write_bytes(jpeg())
    Path("deep/b.jpg").write_bytes(jpeg())


def linux() -> bool:
    return sys.platform.startswith("linux")


def posix() -> bool:
    return os.name == "posix"


def no_root() -> bool:
    """To root everything is readable."""
    return posix() and os.geteuid() != 0


def tells_case_apart() -> bool:
    return linux()


PATHS = (
    # Not a file.
    PathRow("path-empty-name", nothing, ("",), 2),
    PathRow("path-empty-name-among-others", nothing, ("cat.jpg", ""), 2),
    PathRow("path-nothing-there", nothing, ("nope.jpg",), 1, refused=("not_found",)),
    PathRow("path-empty-folder", lambda: Path("e").mkdir(), ("e",), 1, refused=("empty_folder",)),
    PathRow("path-pipe", pipe("p.jpg"), ("p.jpg",), 1, refused=("not_a_file",), there=posix),
    PathRow("path-pipe-among-others", pipe("p"), ("p", "cat.jpg"), 1, ("cat.jpg",), ("not_a_file",), posix),
    PathRow(
        "path-pipe-in-a-folder",
        all_of(picture("d/a.jpg"), pipe("d/p.jpg")),
        ("d",),
        0,
        sent=("d/a.jpg",),
        there=posix,
    ),
    PathRow(
        "path-link-to-a-pipe",
        all_of(pipe("p"), link("l.jpg", "p")),
        ("l.jpg",),
        1,
        refused=("not_a_file",),
        there=posix,
    ),
    PathRow("path-device", nothing, ("/dev/null",), 1, refused=("not_a_file",), there=posix),
    PathRow("path-device-without-end", nothing, ("/dev/zero",), 1, refused=("not_a_file",), there=posix),
    PathRow("path-terminal", nothing, ("/dev/tty",), 1, refused=("not_a_file",), there=posix),
    PathRow("path-socket", listening("s.jpg"), ("s.jpg",), 1, refused=("not_a_file",), there=posix),
    PathRow("path-file-that-fails", nothing, ("/proc/self/mem",), 1, refused=("unreadable",), there=linux),
    PathRow("path-unreadable", unreadable, ("cat.jpg",), 1, refused=("unreadable",), there=no_root),
    PathRow("path-unreadable-folder", forbidden_folder, ("pics",), 1, refused=("unreadable",), there=no_root),
    PathRow("path-below-a-file", nothing, ("cat.jpg/a.jpg",), 1, refused=("not_found",)),
    # Links.
    PathRow("path-link", link("l.jpg", "cat.jpg"), ("l.jpg",), 0, sent=("l.jpg",), there=posix),
    PathRow("path-link-to-itself", link("l.jpg", "l.jpg"), ("l.jpg",), 1, (), ("not_found",), posix),
    PathRow(
        "path-links-in-a-circle",
        all_of(link("a", "b"), link("b", "a")),
        ("a", "b"),
        1,
        refused=("not_found", "not_found"),
        there=posix,
    ),
    PathRow("path-link-to-nothing", link("l.jpg", "gone.jpg"), ("l.jpg",), 1, (), ("not_found",), posix),
    PathRow(
        "path-folder-that-holds-itself",
        all_of(picture("d/a.jpg"), link("d/d", ".")),
        ("d",),
        0,
        sent=("d/a.jpg",),
        there=posix,
    ),
    PathRow(
        "path-broken-link-in-a-folder",
        all_of(picture("d/a.jpg"), link("d/l.jpg", "nowhere")),
        ("d",),
        1,
        sent=("d/a.jpg",),
        refused=("unreadable",),
        there=posix,
    ),
    PathRow(
        "path-link-out-of-a-folder",
        all_of(picture("d/a.jpg"), link("d/l.jpg", "../cat.jpg")),
        ("d",),
        0,
        sent=("d/a.jpg",),
        there=posix,
    ),
    # Names.
    PathRow("path-escapes", picture(ESCAPE), (ESCAPE,), 0, sent=(ESCAPE,), there=posix),
    PathRow("path-undecodable", picture(UNDECODABLE), (UNDECODABLE,), 2, there=linux),
    PathRow(
        "path-undecodable-in-a-folder",
        all_of(picture("d/a.jpg"), picture(f"d/{UNDECODABLE}")),
        ("d",),
        1,
        sent=("d/a.jpg",),
        refused=("bad_usage",),
        there=linux,
    ),
    PathRow("path-longest", picture(LONGEST), (LONGEST,), 0, sent=(LONGEST,)),
    PathRow("path-too-long", nothing, ("x" * 5000,), 1, refused=("unreadable",)),
    PathRow("path-too-deep", deep, ("deep",), 1, ("deep/b.jpg",), ("bad_usage",), posix),
    PathRow(
        "path-pattern-as-name", picture("[a-z]*.jpg"), ("[a-z]*.jpg",), 0, sent=("[a-z]*.jpg",), there=posix
    ),
    PathRow("path-broken-pattern", nothing, ("[",), 1, refused=("not_found",)),
    PathRow("path-dash-as-name", picture("-"), ("./-",), 0, sent=("-",)),
    PathRow("path-option-as-name", picture("--wait"), ("--", "--wait"), 0, sent=("--wait",)),
    PathRow("path-home-of-nobody", nothing, ("~nobody-at-all/a.jpg",), 1, refused=("not_found",)),
    PathRow("path-slash-at-the-end", nothing, ("cat.jpg/",), 0, sent=("cat.jpg",)),
    PathRow(
        "path-case-twins",
        all_of(picture("t/A.jpg"), picture("t/a.jpg")),
        ("t",),
        0,
        sent=("t/A.jpg", "t/a.jpg"),
        there=tells_case_apart,
    ),
    PathRow(
        "path-twins-in-two-forms",
        all_of(picture("t/caf\u00e9.jpg"), picture("t/cafe\u0301.jpg")),
        ("t",),
        1,
        sent=("t/caf\u00e9.jpg",),
        refused=("same_key",),
        there=linux,
    ),
    PathRow("path-twice", nothing, ("cat.jpg", "./cat.jpg"), 2),
    PathRow("path-hidden", picture(".hidden.jpg"), (".hidden.jpg",), 0, sent=(".hidden.jpg",)),
    PathRow("path-up-as-prefix", nothing, ("cat.jpg", "--prefix=../.."), 0, sent=("../../cat.jpg",)),
    PathRow("path-slashes-as-prefix", nothing, ("cat.jpg", "--prefix=///"), 0, sent=("cat.jpg",)),
    PathRow("path-prefix-too-long", nothing, ("cat.jpg", f"--prefix={'x' * 1020}"), 2),
    PathRow("path-nothing-there-for-a-key", nothing, ("nope.jpg", "--key=a.jpg"), 1, (), ("not_found",)),
    PathRow("path-several-for-a-key", picture("b.jpg"), ("b.jpg", "cat.jpg", "--key=a.jpg"), 2),
    # Standard input.
    PathRow("path-stdin-without-a-key", nothing, ("-",), 2),
    PathRow("path-stdin-twice", nothing, ("-", "-", "--key=a.jpg"), 2),
    PathRow("path-stdin-empty", nothing, ("-", "--key=a.jpg"), 1, refused=("unsupported_format",)),
)
