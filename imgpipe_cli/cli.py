"""The command line's entry, and the only place that turns an error into text and an exit code.

Typer is imported only for what needs a parser.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imgpipe_cli import __version__
from imgpipe_cli.commands.invocation import Invocation
from imgpipe_cli.errors import ExitCode, Problem, Unwritable

if TYPE_CHECKING:
    from imgpipe_cli.render.screen import Screen

# As shells have it: such an exit code is this and the signal's number.
_ENDED_BY_SIGNAL = 128
# A longer one, with hundreds of keys, helps nobody who reads it.
_LONGEST_COMMAND = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    invocation = Invocation()
    try:
        return _print_version() if argv == ["--version"] else _run(invocation, argv)
    except Unwritable as error:
        return _unwritable(invocation, error.why)


def _print_version() -> int:
    try:
        print(f"imgpipe {__version__}", flush=True)
    except OSError as error:
        raise Unwritable(error) from error
    return int(ExitCode.DONE)


def _run(invocation: Invocation, argv: Sequence[str]) -> int:
    import typer

    from imgpipe_cli.commands.help_pages import UsageError
    from imgpipe_cli.commands.program import program

    try:
        code = int(program().main(argv, standalone_mode=False, prog_name="imgpipe", obj=invocation) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(invocation, argv)
    except SystemExit as error:
        # What Typer makes of a broken pipe.
        if isinstance(error.__context__, BrokenPipeError):
            raise Unwritable(error.__context__) from error
        if isinstance(error.code, int) and error.code > _ENDED_BY_SIGNAL:
            _interrupted(invocation, argv)
        raise
    except UsageError as error:
        return _usage(invocation, argv, error)
    except Unwritable:
        raise
    except Exception as error:
        # Help does not go through a Screen.
        if isinstance(error, OSError) and not invocation.begun:
            raise Unwritable(error) from error
        return _failed(invocation, error)
    # Typer turns Ctrl-C into an exit code of its own, without a word.
    return _interrupted(invocation, argv) if code == ExitCode.INTERRUPTED else code


def _screen(invocation: Invocation) -> Screen:
    from imgpipe_cli.render.screen import Screen

    return Screen(json=invocation.json, verbose=invocation.verbose, stream=invocation.streams)


def _unwritable(invocation: Invocation, why: OSError) -> int:
    from imgpipe_cli.render.screen import Screen, silence

    silence(sys.stdout)
    if isinstance(why, BrokenPipeError) and invocation.only_reads:
        return int(ExitCode.DONE)
    found = Problem("output_unwritable", f"Standard output cannot be written: {why.strerror or why}.")
    Screen().problem(invocation.command, found)
    return int(found.exit_code)


def _failed(invocation: Invocation, error: Exception) -> int:
    """Expected errors have their words; the rest is one line and where to report it."""
    screen = _screen(invocation)
    if screen.verbose:
        import traceback

        from imgpipe_cli.render.screen import tell
        from imgpipe_cli.render.text import safe

        for line in "".join(traceback.format_exception(error)).splitlines():
            tell(safe(line))
    found = error if isinstance(error, Problem) else _as_problem(error)
    if (invocation.command, found.code) == ("up", "no_region"):
        found.hint += " Without an AWS account: imgpipe up --local."
    screen.problem(invocation.command, found)
    return int(found.exit_code)


def _as_problem(error: Exception) -> Problem:
    from imgpipe_cli.aws.client import AwsError
    from imgpipe_cli.aws.errors import problem
    from imgpipe_cli.pictures.api import ApiUnavailable

    if isinstance(error, AwsError):
        return problem(error)
    if isinstance(error, ApiUnavailable):
        return error.problem
    return Problem(
        "unexpected",
        f"Something unexpected happened ({type(error).__name__}: {error}).",
        hint="Run the command again with --verbose and report what it prints.",
    )


def _usage(invocation: Invocation, argv: Sequence[str], error: Any) -> int:
    from imgpipe_cli.commands.program import reread
    from imgpipe_cli.commands.suggestions import meant

    context: Any = error.ctx
    reread(context, argv)
    screen = _screen(invocation)
    nothing_named = type(error).__name__ == "NoArgsIsHelpError"
    if nothing_named and not screen.json:
        screen.line(context.get_help())
        return int(ExitCode.USAGE)
    message, near = ("Missing command.", "") if nothing_named else meant(error)
    more = f"See {context.command_path} --help."
    hint = f"Did you mean {near}?{'' if '--help' in near else f' {more}'}" if near else more
    problem = Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)
    screen.problem(invocation.command, problem)
    return int(ExitCode.USAGE)


def _interrupted(invocation: Invocation, argv: Sequence[str]) -> int:
    from imgpipe_cli.render.screen import tell

    again = _again(argv)
    words = {
        "up": f"Interrupted. All that is done stays done: {again} continues from there.",
        "upload": f"Interrupted. Pictures that were sent stay: {again} goes on with the rest.",
        "retry": f"Interrupted. Finished pictures keep their results: {again} goes on with the rest.",
        "rm": f"Interrupted. Pictures that are removed stay removed: {again} goes on with the rest.",
        "down": f"Interrupted. All that is gone stays gone: {again} continues from there.",
    }
    text = words.get(invocation.command, "Interrupted.")

    # At the end of a stream there is nothing to say in it.
    if invocation.json and not invocation.streams:
        problem = Problem("interrupted", text, exit_code=ExitCode.INTERRUPTED)
        _screen(invocation).problem(invocation.command, problem)
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


def _prepare_streams() -> None:
    """A Windows console of an old code page can still show every key, what is typed in another code is read,
    and what a program started without standard output or error would print there goes nowhere."""
    for name, encoding in (("stdout", "utf-8"), ("stderr", "utf-8"), ("stdin", None)):
        stream = getattr(sys, name)
        if stream is None and name != "stdin":
            setattr(sys, name, open(os.devnull, "w", encoding=encoding))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=encoding, errors="replace")
