"""How a command runs: its options, its target, and the way of its result to the screen.

A command is a function of its options, and of a `Run` if it has a target; it returns a `Result` and
prints nothing.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from imgpipe_cli.commands.chosen import Options, asked, resolve
from imgpipe_cli.commands.help_pages import CommandPage
from imgpipe_cli.commands.options import SHARED_PARAMETERS, read
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result
from imgpipe_cli.session import connection, project_file, target
from imgpipe_cli.session.remembered import Targets

if TYPE_CHECKING:
    from imgpipe_cli.events import Emit, Event
    from imgpipe_cli.render.screen import Screen
    from imgpipe_cli.session.connection import Connection
    from imgpipe_cli.session.target import Begun, Remembered, Target


@dataclass
class Run:
    """One run of one command: its options, its target, and where its events go."""

    command: str
    options: Options
    screen: Screen
    folder: Path = Path()  # the current one, which may be gone
    _looked_up: bool = False
    _told_unwritable: bool = False
    _connection: Connection | None = None

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        return project_file.read(self.folder)

    def asked(self, name: str, value: Any) -> Any:
        """The value of flag or environment, else that of imgpipe.toml, else None."""
        return asked(self.configuration, name, value)

    @cached_property
    def targets(self) -> Targets:
        return Targets()

    @cached_property
    def _resolved(self) -> tuple[Target, Begun | None]:
        return resolve(self.options, self.configuration, self.targets)

    @property
    def target(self) -> Target:
        return self._resolved[0]

    @property
    def remembered(self) -> Remembered | None:
        """What is known of the pipeline; None also for one whose `up` has not come to its end."""
        known = self._resolved[1]
        return known if isinstance(known, target.Remembered) else None

    def refuse_unnamed(self) -> None:
        """Raise a usage Problem where no project is named and several pipelines are remembered."""
        if self.asked("project", self.options.project) is None:
            local, region = self.asked("local", self.options.local), self.asked("region", self.options.region)
            target.refuse_several(self.targets.read()[1], local=local, region=region)

    @property
    def emit(self) -> Emit:
        return self.screen.progress.event

    def note(self, code: str, detail: str = "") -> None:
        """Tell people something beside the result; render/ has the words for each code."""
        from imgpipe_cli.events import Note

        self.emit(Note(code, detail))

    def connect(self, *, start_local: bool = False, services: Sequence[str] = ()) -> Connection:
        """Sign in, once a run; tells the target in one dim line.

        start_local: whether a local cloud that does not run is started.
        """
        if self._connection is None:
            found = connection.connect(
                *self._resolved,
                start_local=self._start_local if start_local else None,
                services=services,
                on_busy=partial(self.note, "aws_busy"),
            )
            self.screen.target(found.target, found.names.account, found.aws.region, found.endpoint)
            self._connection = found
        return self._connection

    def _start_local(self) -> Any:
        from imgpipe_cli.local.process import control

        with self.screen.progress.busy("starting_local"):
            return control.start()

    def pipeline(self, *, token: bool = True) -> Remembered:
        """Where the pipeline answers: as remembered, else looked up. Raises Problem("not_set_up").

        token: False for what is answered without it too.
        """
        known = self.remembered
        if known is not None and (known.token or not token) and self._still_there(known):
            self.screen.target(known.target, known.account, known.region, known.endpoint)
            return known
        return self._discovered(token=token)

    def _discovered(self, *, token: bool) -> Remembered:
        from imgpipe_cli.deploy.pipeline_info import discover

        found = discover(self.connect(), token=token)
        self.keep(found)
        self._looked_up = True
        self.__dict__["_resolved"] = (found.target, found)
        return found

    def _still_there(self, known: Remembered) -> bool:
        """False for a pipeline whose local cloud moved; its old port may be anybody's. Raises Problem."""
        from imgpipe_cli.session.connection import running_local_cloud

        return not known.target.local or known.endpoint == running_local_cloud().endpoint

    def refuse_moved(self, known: Remembered) -> None:
        """Raise ApiUnavailable where the pipeline's local cloud has ended or moved: whoever has its port now
        would get the token."""
        from imgpipe_cli.pictures.api import ApiUnavailable

        try:
            there = self._still_there(known)
        except Problem as problem:
            raise ApiUnavailable(problem.message, broken=True) from problem
        if not there:
            raise ApiUnavailable("the local cloud has another port by now", broken=True)

    def look_up_again(self, *, token: bool = True) -> bool:
        """Forget what is remembered of this pipeline and ask the cloud. False if that was done already."""
        if self.remembered is None or self._looked_up:
            return False
        self._discovered(token=token)
        return True

    def keep(self, found: Remembered) -> None:
        """For the commands to come, where it can be: what can be looked up again is only a convenience."""
        self._kept("not_remembered", partial(self.targets.put, found))

    def begin(self, connection: Connection) -> None:
        """The same of a pipeline that is not there yet. Raises Problem on this machine: the next commands
        would go to AWS."""
        begin = partial(self.targets.begin, connection.begun)
        if connection.target.local:
            begin()
        else:
            self._kept("not_remembered", begin)

    def forget(self, gone: Target) -> None:
        """Keep it no longer, where that can be."""
        known = any(one.target == gone for one in self.targets.read()[1])
        self._kept("not_forgotten" if known else "", partial(self.targets.drop, gone))

    def _kept(self, otherwise: str, write: Callable[[], None]) -> None:
        """Where nothing can be written, that is said once."""
        try:
            write()
        except Problem as problem:
            if otherwise and not self._told_unwritable:
                self.note(otherwise, problem.message)
            self._told_unwritable = True

    def save(self) -> None:
        """Have the local cloud keep what this command has made of it, also if it is killed a moment later."""
        from imgpipe_cli.local.process import control

        if self.target.local:
            control.save()

    def trouble(self, error: Exception) -> Problem | None:
        """What is wrong with the local cloud, where that is behind this error."""
        from imgpipe_cli.commands import local_trouble

        # Not looked up only for this: an error may be about the target itself.
        found = self.__dict__.get("_resolved")
        is_local = found is not None and found[0].local
        return local_trouble.behind(error, self.command) if is_local else None

    def why(self, error: Exception) -> str:
        """What keeps a command that goes on from its work, for a note."""
        from imgpipe_cli.commands import local_trouble

        if found := self.trouble(error):
            return local_trouble.in_short(found)
        return error.message if isinstance(error, Problem) else str(error)

    def refuse_trouble(self, error: Exception) -> None:
        """Raise what is wrong with the local cloud: nothing that is waited for comes then."""
        if found := self.trouble(error):
            raise found from error

    def seen(self, keys: Iterable[str]) -> None:
        """Keep these for the shell to complete."""
        from imgpipe_cli.session import recent_keys

        recent_keys.seen(self.target, keys)

    def stream(self, item: Mapping[str, Any]) -> None:
        """One bare object a line, as soon as it is known."""
        self.screen.json_line(item)


def command(
    app: typer.Typer, name: str | None = None, *, without_name: bool = False
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Register a command: adds the options that every command has and hands them in as one `Run`.

    without_name: what the group itself does when none of its commands is named.
    """

    def register(function: Callable[..., Result]) -> Callable[..., Result]:
        wanted = inspect.signature(function, eval_str=True).parameters
        own = name or function.__name__
        group = app.info.name
        label = own if group == "imgpipe" else f"{group}" if without_name else f"{group} {own}"

        def entry(ctx: typer.Context, **values: Any) -> None:
            from imgpipe_cli.render.screen import Screen

            for parameter in SHARED_PARAMETERS:
                del values[parameter.name]
            options = read(ctx, label)
            if ctx.invoked_subcommand is not None:
                return
            ctx.obj.begun = True
            screen = Screen(json=options.json, verbose=options.verbose, quiet=options.quiet)
            run = Run(label, options, screen)
            with screen:
                if "run" in wanted:
                    values["run"] = run
                try:
                    result = function(**values)
                except Exception as error:
                    run.refuse_trouble(error)
                    raise
            screen.result(label, result)
            raise typer.Exit(int(result.exit_code))

        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in wanted.values() if p.name != "run"),
            *SHARED_PARAMETERS,
        ]
        entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        entry.__annotations__ = {p.name: p.annotation for p in parameters}
        entry.__doc__ = function.__doc__
        register_as = app.callback(invoke_without_command=True) if without_name else None
        (register_as or app.command(own, cls=CommandPage))(entry)
        return function

    return register


def can_ask() -> bool:
    """Whether somebody may answer a question."""
    # A program started without standard input has None there.
    return bool(sys.stdin and sys.stdin.isatty())


def need_confirmation(yes: bool, what: str) -> None:
    """Raise a usage Problem where nobody can be asked."""
    if not yes and not can_ask():
        raise Problem(
            "not_confirmed",
            f"{what} needs a confirmation, and this is not a terminal.",
            hint="Add --yes.",
            exit_code=ExitCode.USAGE,
        )


def nothing(_event: Event) -> None:
    """An Emit for those who do not want to know."""
