"""The Typer app, and the only place that turns an error into text and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from imgpipe_cli import __version__
from imgpipe_cli.commands import (
    doctor,
    down,
    explain,
    local,
    logs,
    policy,
    result,
    retry,
    status,
    token,
    up,
    upload,
    watch,
)
from imgpipe_cli.commands import list as listing
from imgpipe_cli.commands import open as open_page
from imgpipe_cli.commands.help_pages import GroupPage
from imgpipe_cli.commands.options import SHARED_PARAMETERS, Options
from imgpipe_cli.errors import ExitCode, Problem, Unwritable

# Typer carries its own copy of click; this is the base of what it raises for wrong usage.
_UsageError: Any = typer.BadParameter.__base__


def app() -> typer.Typer:
    """The whole command line."""
    found = typer.Typer(
        name="imgpipe",
        cls=GroupPage,
        help="A serverless image-analysis pipeline: set up, used and removed from the command line.",
        no_args_is_help=True,
        # Plain help starts twice as fast.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )

    def main(ctx: typer.Context, **values: Any) -> None:
        del values["version"]
        ctx.obj = Options(**values)

    _give_shared_options(main)
    found.callback()(main)
    for module in (
        up,
        upload,
        result,
        listing,
        explain,
        retry,
        watch,
        logs,
        open_page,
        token,
        status,
        doctor,
        policy,
        down,
        local,
    ):
        module.register(found)
    return found


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"imgpipe {__version__}")
        raise typer.Exit


def _give_shared_options(function: Any) -> None:
    """The options of every command are also taken before the command's name."""
    import inspect

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    command = _command(argv)
    try:
        return _run(command, argv)
    except Unwritable as error:
        return _unwritable(command, argv, error.why)


def _run(command: str, argv: Sequence[str]) -> int:
    try:
        code = int(app()(argv, standalone_mode=False, prog_name="imgpipe") or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(command, argv)
    except SystemExit as error:
        # What Typer makes of a broken pipe.
        if isinstance(error.__context__, BrokenPipeError):
            raise Unwritable(error.__context__) from error
        if isinstance(error.code, int) and error.code > _ENDED_BY_SIGNAL:
            _interrupted(command, argv)
        raise
    except _UsageError as error:
        return _usage(command, argv, error)
    except Unwritable:
        raise
    except Exception as error:
        # Help does not go through a Screen.
        if isinstance(error, OSError) and _HELP.intersection(argv):
            raise Unwritable(error) from error
        return _failed(command, argv, error)
    # Typer turns Ctrl-C into an exit code of its own, without a word.
    return _interrupted(command, argv) if code == ExitCode.INTERRUPTED else code


def _command(argv: Sequence[str]) -> str:
    """The command's name as the JSON documents have it, also where the parser did not get so far."""
    words = iter(argv)
    found: list[str] = []
    for word in words:
        if word in ("--project", "--profile", "--region"):
            next(words, None)
        elif not word.startswith("-"):
            found.append(word)
    groups = [["local"], ["local", "models"]]
    length = 1 + max((len(group) for group in groups if found[: len(group)] == group), default=0)
    return " ".join(found[:length]) or "imgpipe"


# As shells have it: such an exit code is this and the signal's number.
_ENDED_BY_SIGNAL = 128
# What is longer, with hundreds of keys, helps nobody who reads it.
_LONGEST_COMMAND = 200
_HELP = frozenset({"--help", "-h", "--version"})
# Commands that change nothing: whoever has seen enough of what they print, as head has, has all of it.
_READING = frozenset(
    {
        *("imgpipe", "result", "list", "explain", "watch", "logs", "status", "doctor", "policy"),
        *("local status", "local logs", "local env", "local models"),
    }
)


def _unwritable(command: str, argv: Sequence[str], why: OSError) -> int:
    from imgpipe_cli.render.screen import Screen, silence

    silence(sys.stdout)
    if isinstance(why, BrokenPipeError) and (command in _READING or _HELP.intersection(argv)):
        return int(ExitCode.DONE)
    found = Problem("output_unwritable", f"Standard output cannot be written: {why.strerror or why}.")
    Screen().problem(command, found)
    return int(found.exit_code)


def _failed(command: str, argv: Sequence[str], error: Exception) -> int:
    """Expected errors have their words; the rest is one line and where to report it."""
    from imgpipe_cli.render.screen import Screen

    screen = Screen(
        json=_asked(argv, "--json", "IMGPIPE_JSON"),
        verbose=_asked(argv, "--verbose", "IMGPIPE_VERBOSE"),
        stream=_streams(command, argv),
    )
    if screen.verbose:
        import traceback

        from imgpipe_cli.render.screen import tell
        from imgpipe_cli.render.text import safe

        for line in "".join(traceback.format_exception(error)).splitlines():
            tell(safe(line))
    found = error if isinstance(error, Problem) else _as_problem(error)
    if (command, found.code) == ("up", "no_region"):
        found.hint += " Without an AWS account: imgpipe up --local."
    screen.problem(command, found)
    return int(found.exit_code)


def _as_problem(error: Exception) -> Problem:
    from imgpipe_cli.aws.client import AwsError
    from imgpipe_cli.aws.errors import problem
    from imgpipe_cli.pictures.api import ApiUnavailable

    if isinstance(error, AwsError):
        return problem(error)
    if isinstance(error, ApiUnavailable):
        return Problem(
            "api_unavailable",
            f"The pipeline's API does not answer as expected: {error}.",
            hint="See imgpipe status; imgpipe up repairs what is missing.",
        )
    return Problem(
        "unexpected",
        f"Something unexpected happened ({type(error).__name__}: {error}).",
        hint="Run the command again with --verbose and report what it prints.",
    )


def _usage(command: str, argv: Sequence[str], error: Any) -> int:
    from imgpipe_cli.commands.help_pages import EXAMPLES
    from imgpipe_cli.commands.suggestions import meant
    from imgpipe_cli.render.screen import Screen

    context: Any = getattr(error, "ctx", None)
    page = f"imgpipe {command}" if command in EXAMPLES else "imgpipe"
    path = context.command_path if context is not None else page
    screen = Screen(json=_asked(argv, "--json", "IMGPIPE_JSON"), stream=_streams(command, argv))
    nothing_named = type(error).__name__ == "NoArgsIsHelpError"
    if nothing_named and not screen.json:
        screen.line(context.get_help())
        return int(ExitCode.USAGE)
    message, near = ("Missing command.", "") if nothing_named else meant(error)
    more = f"See {path} --help."
    hint = f"Did you mean {near}?{'' if '--help' in near else f' {more}'}" if near else more
    screen.problem(command, Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE))
    return int(ExitCode.USAGE)


def _streams(command: str, argv: Sequence[str]) -> bool:
    """Whether it prints one JSON document a line, and not only one."""
    return command in ("watch", "logs", "list", "local logs") or (command == "upload" and "--wait" in argv)


def _interrupted(command: str, argv: Sequence[str]) -> int:
    from imgpipe_cli.render.screen import Screen, tell

    again = _again(argv)
    words = {
        "up": f"Interrupted. All that is done stays done: {again} continues from there.",
        "retry": f"Interrupted. Each verdict so far is kept: {again} goes on with the rest.",
        "down": f"Interrupted. All that is gone stays gone: {again} continues from there.",
    }
    text = words.get(command, "Interrupted.")

    # At the end of a stream there is nothing to say in it.
    if _asked(argv, "--json", "IMGPIPE_JSON") and not _streams(command, argv):
        Screen(json=True).problem(command, Problem("interrupted", text, exit_code=ExitCode.INTERRUPTED))
    else:
        tell(f"\n{text}")
    return int(ExitCode.INTERRUPTED)


def _again(argv: Sequence[str]) -> str:
    """The whole command line: without its flags the same command may mean another place."""
    import shlex
    import subprocess

    from imgpipe_cli.render.text import safe

    whole = ["imgpipe", *argv]
    text = subprocess.list2cmdline(whole) if sys.platform == "win32" else shlex.join(whole)
    return safe(text) if len(text) <= _LONGEST_COMMAND else "the same command"


def _asked(argv: Sequence[str], flag: str, variable: str) -> bool:
    """Whether a switch was on, for errors that come before or instead of the parser's answer."""
    return flag in argv or os.environ.get(variable, "").lower() in ("1", "true", "t", "yes", "y", "on")


def _prepare_streams() -> None:
    """A Windows console of an old code page can still show every key, what is typed in another code is read,
    and what a program started without standard output or error would print there goes nowhere."""
    for name, encoding in (("stdout", "utf-8"), ("stderr", "utf-8"), ("stdin", None)):
        stream = getattr(sys, name)
        if stream is None and name != "stdin":
            setattr(sys, name, open(os.devnull, "w", encoding=encoding))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=encoding, errors="replace")
