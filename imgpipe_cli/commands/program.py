"""The whole command line as Typer sees it. A command's module is imported when the command is called."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core

from imgpipe_cli import __version__
from imgpipe_cli.commands.help_pages import ARGUMENTS, GroupPage
from imgpipe_cli.commands.options import SHARED_PARAMETERS, read
from imgpipe_cli.commands.table import COMMANDS, GROUPS


class _Stub(typer.core.TyperCommand):
    """What the lists, suggestions and completion need of a command."""

    def __init__(self, words: str) -> None:
        super().__init__(words.rpartition(" ")[2], help=COMMANDS[words].summary)
        self._words = words

    def loaded(self) -> Any:
        """The command itself."""
        group, _, name = self._words.rpartition(" ")
        app = typer.Typer(name=group or "imgpipe", rich_markup_mode=None)
        import_module(f"imgpipe_cli.commands.{COMMANDS[self._words].module}").register(app)
        return typer.main.get_group(app).commands[name]


class _LazyGroup(GroupPage):
    """A group whose commands are stubs until one is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, found.loaded() if isinstance(found, _Stub) else found, rest

    def load(self) -> None:
        """Put all commands in place of their stubs."""
        for name, found in self.commands.items():
            if isinstance(found, _LazyGroup):
                found.load()
            elif isinstance(found, _Stub):
                self.commands[name] = found.loaded()


def program() -> GroupPage:
    """The command line; its `main` runs one, with an `Invocation` as its `obj`."""
    app = typer.Typer(
        name="imgpipe",
        cls=_LazyGroup,
        help=GROUPS[""].summary,
        no_args_is_help=True,
        # Plain help starts twice as fast.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )

    def main(ctx: typer.Context, **_values: Any) -> None:
        read(ctx, "imgpipe")

    _give_shared_options(main)
    app.callback()(main)
    group: Any = typer.main.get_command(app)
    group.commands = {words: _Stub(words) for words in COMMANDS if " " not in words}
    inner: dict[str, Any] = {
        words.partition(" ")[2]: _Stub(words) for words in COMMANDS if words.startswith("local ")
    }
    group.commands["local"] = _LazyGroup(
        name="local",
        help=GROUPS["local"].summary,
        no_args_is_help=True,
        rich_markup_mode=None,
        commands=inner,
    )
    return group  # type: ignore[no-any-return]


def whole_program() -> GroupPage:
    """The same with every command in it, and all modules of commands imported."""
    found = program()
    assert isinstance(found, _LazyGroup)
    found.load()
    return found


def reread(context: Any, argv: Sequence[str]) -> None:
    """Note in the invocation all that can be read of a command line that is wrong somewhere.

    context: where it is wrong. A command is read again by its own parser; in place of a group, which may not
    have got so far, the parser of `imgpipe` reads the whole line.
    """
    lenient = {
        "resilient_parsing": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": True,
        "allow_extra_args": True,
    }
    words = context.command_path.split()[1:]
    if isinstance(context.command, GroupPage):
        root = context.find_root()
        found = root.command.make_context(root.info_name, list(argv), obj=root.obj, **lenient)
        typed = [word for word in (*found._protected_args, *found.args) if not word.startswith("-")]
        words += typed[len(words) : len(words) + 1]
    else:
        args = list(context.meta[ARGUMENTS])
        found = context.command.make_context(context.info_name, args, parent=context.parent, **lenient)
    read(found, " ".join(filter(None, words)) or "imgpipe")


def _version(ctx: typer.Context, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        typer.echo(f"imgpipe {__version__}")
        raise typer.Exit


def _give_shared_options(function: Any) -> None:
    """The options of every command are also taken before the command's name."""
    version = inspect.Parameter(
        "version",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_version)
        ],
    )
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *SHARED_PARAMETERS, version]
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {p.name: p.annotation for p in parameters}
