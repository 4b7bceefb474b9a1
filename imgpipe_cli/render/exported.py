"""What an export of sidecars came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe_cli.render.text import count, safe

if TYPE_CHECKING:
    from imgpipe_cli.pictures.exporting.xmp_sidecars import Written
    from imgpipe_cli.render.screen import Screen

# Number -> its name in JSON, and its words behind it.
_NUMBERS = {
    "written": ("written", "written"),
    "unchanged": ("unchanged", "unchanged"),
    "without_labels": ("withoutLabels", "without labels"),
    "not_here": ("notHere", "not on this machine"),
    "another_version": ("anotherVersion", "with a result of another version"),
    "refused": ("refused", "left alone"),
}


def numbers(written: Written) -> dict[str, int]:
    return {key: written.numbers[name] for name, (key, _) in _NUMBERS.items()}


def show(screen: Screen, written: Written) -> None:
    for path, why in written.refused:
        screen.note(f"left alone {safe(path)}: {safe(why)}.")
    if written.numbers["not_here"]:
        screen.aside(
            "imgpipe knows where a picture lies that was sent from here. For others, name their folder: "
            "--map KEYPREFIX=FOLDER."
        )
    told = [
        f"{written.numbers[name]:,} {words}"
        for name, (_, words) in _NUMBERS.items()
        if name != "written" and written.numbers[name]
    ]
    screen.line(", ".join((f"{count(written.numbers['written'], 'sidecar')} written", *told)) + ".")
