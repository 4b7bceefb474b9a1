"""`imgpipe logs`: what the functions say, as readable lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.session.times import SINCE_HELP, milliseconds, moment

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.logs.lines import Line
    from imgpipe_cli.diagnose.logs.reading import Tail

# What passes by itself while following.
_PASSING = ("unreachable", "throttled")


def register(app: typer.Typer) -> None:
    @command(app)
    def logs(
        run: Run,
        functions: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[ingest|get_result|web]...", help="Only the lines of these functions (default: all)."
            ),
        ] = None,
        since: Annotated[
            str,
            typer.Option(
                "--since",
                metavar="TIME",
                show_default=False,
                help=f"From when on (default 1h): {SINCE_HELP}.",
            ),
        ] = "1h",
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
        ] = False,
        errors: Annotated[bool, typer.Option("--errors", help="Only warnings and errors.")] = False,
    ) -> Result:
        """Show what the functions log; with --verbose also Lambda's own lines and tracebacks."""
        from imgpipe_cli.diagnose.logs.reading import FOLLOW_PAUSE_S, LogReader, Tail

        chosen = _chosen(functions)
        start = moment(since, datetime.now(UTC))
        connection = run.connect()
        reader = LogReader(connection.aws, connection.names)
        tail = Tail(reader, connection.names, chosen, start_ms=milliseconds(start))
        shown = 0
        for line in tail.new():
            shown += _show(run, line, errors=errors)
        if not shown:
            run.note("no_log_lines", f"since {start.astimezone():%Y-%m-%d %H:%M:%S}")
        if follow:
            run.note("following", ", ".join(chosen))
        broken = False
        while follow:
            connection.aws.sleep(FOLLOW_PAUSE_S)
            broken = _look(run, tail, broken, errors=errors)
        return Result(streamed=True)


def _look(run: Run, tail: Tail, broken: bool, *, errors: bool) -> bool:
    """Show what is new; True while there is no connection."""
    try:
        for line in tail.new():
            _show(run, line, errors=errors)
    except Problem as error:
        if error.code not in _PASSING:
            raise
        if not broken:
            run.note("feed_interrupted", run.why(error))
        return True
    if broken:
        run.note("feed_back")
    return False


def _chosen(functions: list[str] | None) -> tuple[str, ...]:
    asked = [name.replace("-", "_") for name in functions or FUNCTIONS]
    unknown = [name for name in asked if name not in FUNCTIONS]
    if unknown:
        raise Problem(
            "bad_usage",
            f"There is no function {', '.join(unknown)}.",
            hint=f"Choose from {', '.join(FUNCTIONS)}.",
            exit_code=ExitCode.USAGE,
        )
    return tuple(name for name in FUNCTIONS if name in asked)


def _show(run: Run, line: Line, *, errors: bool) -> bool:
    """Print the line if it is asked for. A failure that Lambda reports is one, whoever says so."""
    from imgpipe_cli.render import log_lines

    if (errors and not line.warns) or (line.platform and not (run.options.verbose or line.failed)):
        return False
    if run.options.json:
        run.stream(log_lines.document(line))
    else:
        run.screen.line(log_lines.text(line, verbose=run.options.verbose), exact=True)
    return True
