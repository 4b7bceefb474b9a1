"""The whole command line as Typer sees it. A command's module is imported when the command is called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core

from imgpipe_cli import __version__
from imgpipe_cli.commands.help_pages import ARGUMENTS, GroupPage
from imgpipe_cli.commands.options import SHARED_PARAMETERS, read


@dataclass(frozen=True)
class Entry:
    """A command as it stands in the list of commands. summary: the first sentence of its own help."""

    module: str
    summary: str


# By the words behind `imgpipe`. With the sentences here, the list of commands needs no command's module.
COMMANDS: Mapping[str, Entry] = {
    "up": Entry("up", "Set up the pipeline: carry out the steps that are missing."),
    "upload": Entry("upload", "Send pictures (JPEG or PNG) into the pipeline."),
    "result": Entry("result", "Show what was found in pictures."),
    "list": Entry("list", "Show the results, newest first."),
    "explain": Entry("explain", "Show a picture's story step by step, and the next step."),
    "retry": Entry("retry", "List failed pictures by reason, and analyze them again."),
    "watch": Entry("watch", "Show results as they arrive, from any uploader, until Ctrl-C."),
    "logs": Entry(
        "logs", "Show what the functions log; with --verbose also Lambda's own lines and tracebacks."
    ),
    "open": Entry("open", "Open the web page in the browser, already signed in."),
    "token": Entry("token", "Print the access token, and nothing else, on standard output."),
    "status": Entry(
        "status", "Show the state of each step (ready, busy, missing, drifted or not owned) and the outputs."
    ),
    "doctor": Entry("doctor", "Check machine, credentials, account, pipeline; say what to do."),
    "policy": Entry("policy", "Print the smallest IAM policy with which the commands work."),
    "down": Entry("down", "Remove the pipeline: show what will go, ask, remove it, check again."),
    "local faults": Entry(
        "local_faults",
        "Make the local Rekognition throttle, fail or be slow; without options: show what is on.",
    ),
    "local start": Entry("local", "Start the local cloud; pipelines set up earlier are there again."),
    "local stop": Entry("local", "Stop the local cloud and keep its data."),
    "local status": Entry(
        "local", "Show whether the local cloud runs, what it can do, and what it does not simulate."
    ),
    "local logs": Entry("local", "Show the local cloud's own log."),
    "local env": Entry(
        "local", 'Print what `aws` and boto3 need to reach the local cloud: eval "$(imgpipe local env)".'
    ),
    "local models": Entry("local_models", "List or install models."),
}
_GROUP_HELP = {
    "imgpipe": "A serverless image-analysis pipeline: set up, used and removed from the command line.",
    "local": "The cloud on this machine: start, stop, status, logs, env, models, faults.",
}


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
        help=_GROUP_HELP["imgpipe"],
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
        help=_GROUP_HELP["local"],
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
