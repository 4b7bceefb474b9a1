"""Help as people read it: the commands by what they are for, whole sentences, and an example of each.

Drawn with the parser's own formatter: Rich would take longer to load than the page to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
import typer.core

GROUPS: Mapping[str, Sequence[str]] = {
    "Every day": ("upload", "result", "list", "watch", "open"),
    "Look into it": ("status", "explain", "retry", "logs", "doctor"),
    "Set up": ("up", "down", "token", "policy"),
    "This machine": ("local",),
}
# By the words behind `imgpipe`. No line is longer than a narrow terminal.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "": (
        "imgpipe up --local",
        "imgpipe upload photo.jpg --wait",
        "imgpipe list --label Cat",
        "imgpipe down",
    ),
    "up": (
        "imgpipe up --local",
        "imgpipe up --region eu-west-1 --features labels,text",
        "imgpipe up --dry-run",
    ),
    "upload": (
        "imgpipe upload photo.jpg --wait",
        "imgpipe upload holiday/ --prefix 2026/",
        "imgpipe upload - --key photo.jpg < photo.jpg",
    ),
    "result": ("imgpipe result photo.jpg", "imgpipe result photo.jpg --json"),
    "list": (
        "imgpipe list --label Cat --min-confidence 90",
        "imgpipe list --status failed --since 2h",
        "imgpipe list --limit 0 --json",
    ),
    "explain": ("imgpipe explain photo.jpg",),
    "retry": ("imgpipe retry", "imgpipe retry photo.jpg", "imgpipe retry --missing --dry-run"),
    "watch": ("imgpipe watch --since 10m", "imgpipe watch inbox/ --existing"),
    "logs": ("imgpipe logs ingest --since 20m --errors", "imgpipe logs --follow"),
    "open": ("imgpipe open", "imgpipe open --save viewer.html"),
    "token": ("imgpipe token", "imgpipe token --rotate"),
    "status": ("imgpipe status", "imgpipe status --json"),
    "doctor": ("imgpipe doctor", "imgpipe doctor --aws --for up,upload"),
    "policy": (
        "imgpipe policy > policy.json",
        "imgpipe policy --for upload,result",
        "imgpipe policy --explain",
    ),
    "down": ("imgpipe down --dry-run", "imgpipe down --keep-bucket"),
    "local": ("imgpipe up --local", "imgpipe local status"),
    "local start": ("imgpipe local start",),
    "local stop": ("imgpipe local stop",),
    "local status": ("imgpipe local status",),
    "local logs": ("imgpipe local logs --lines 20 --follow",),
    "local env": ('eval "$(imgpipe local env)"',),
    "local faults": ("imgpipe local faults --tps 5", "imgpipe local faults --off"),
    "local models": ("imgpipe local models",),
    "local models fetch": (
        "imgpipe local models fetch",
        "imgpipe local models fetch --from yolox.onnx",
    ),
}
_SHARED = frozenset({"project", "profile", "region", "local", "json", "verbose", "quiet", "help"})
# What the parser adds of numbers, such as 0<=x<=100: the sentences say what is needed of it.
_RANGE = re.compile(r"(; |\s*\[)(?:[\d.]+<=?)?x[<>]=?[\d.]+\]$")
_WHOLE = 10_000
# Typer carries its own copy of click; this is the base of what it raises for wrong usage.
UsageError: Any = typer.BadParameter.__base__
# Under which name a context keeps the arguments of the command that was parsed last.
ARGUMENTS = "imgpipe.arguments"


class _Page:
    """What the pages of commands and of groups share."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Keeps the arguments, and adds the context to errors that the parser leaves it out of."""
        ctx.meta[ARGUMENTS] = tuple(args)
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def usage(self, pieces: list[str]) -> list[str]:
        return [re.sub(r"^\{(.*)\}$", r"\1", piece) for piece in pieces]

    def options(self, command: Any, ctx: Any, formatter: Any, *, apart: bool) -> None:
        """apart: what every command has comes last."""
        rows: dict[str, list[tuple[str, str]]] = {
            "Arguments": [],
            "Options": [],
            "Options of every command": [],
        }
        for parameter in command.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            of_all = apart and parameter.name in _SHARED
            options = "Options of every command" if of_all else "Options"
            kind = "Arguments" if parameter.param_type_name == "argument" else options
            rows[kind].append((record[0], _without_range(record[1])))
        for title, found in rows.items():
            _section(formatter, title, found)

    def examples(self, ctx: Any, formatter: Any) -> None:
        path = ctx.command_path.partition(" ")[2]
        with formatter.section("Examples"):
            for line in EXAMPLES.get(path, ()):
                formatter.write(f"  {line}\n")


class CommandPage(_Page, typer.core.TyperCommand):
    """The help of one command."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return self.usage(super().collect_usage_pieces(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.options(self, ctx, formatter, apart=True)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        self.examples(ctx, formatter)


class GroupPage(_Page, typer.core.TyperGroup):
    """The help of `imgpipe` itself, and of commands that hold others."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, names in self._groups():
            _section(formatter, title, [(name, _sentence(self.commands[name])) for name in names])
        self.options(self, ctx, formatter, apart=ctx.parent is not None)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        self.examples(ctx, formatter)

    def _groups(self) -> Iterator[tuple[str, list[str]]]:
        named = {name for names in GROUPS.values() for name in names}
        if not named.issuperset(self.commands):
            yield "Commands", list(self.commands)
            return
        for title, names in GROUPS.items():
            yield title, [name for name in names if name in self.commands]


def _section(formatter: Any, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=max(formatter.width // 3, 18))


def _without_range(text: str) -> str:
    return _RANGE.sub(lambda found: "]" if found[1] == "; " else "", text)


def _sentence(command: Any) -> str:
    """The first one of its description, however long."""
    return str(command.get_short_help_str(_WHOLE))
