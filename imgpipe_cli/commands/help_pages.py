"""Help as people read it: the commands by what they are for, whole sentences, and an example of each.

Drawn with the parser's own formatter: Rich would take longer to load than the page to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer
import typer.core

from imgpipe_cli.commands.table import EXAMPLES, sections

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
        headed = sections()
        if not {name for names in headed.values() for name in names}.issuperset(self.commands):
            headed = {"Commands": list(self.commands)}
        yield from headed.items()


def _section(formatter: Any, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=max(formatter.width // 3, 18))


def _without_range(text: str) -> str:
    return _RANGE.sub(lambda found: "]" if found[1] == "; " else "", text)


def _sentence(command: Any) -> str:
    """The first one of its description, however long."""
    return str(command.get_short_help_str(_WHOLE))
