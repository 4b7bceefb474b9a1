"""`imgpipe doctor`: what would be in the way, and what to do about each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from imgpipe_cli.commands.chosen import Options
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import Problem
from imgpipe_cli.result import Result
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Target
from imgpipe_cli.system import state_dir


def register(app: typer.Typer) -> None:
    @command(app)
    def doctor(
        run: Run,
        commands: Annotated[
            str | None,
            typer.Option(
                "--for", metavar="LIST", help="Only the permissions of these commands (default: all)."
            ),
        ] = None,
    ) -> Result:
        """Check machine, credentials, account, pipeline; say what to do. Changes nothing."""
        from imgpipe_cli.aws.iam.uses import COMMANDS
        from imgpipe_cli.deploy import permissions
        from imgpipe_cli.diagnose.doctor.checks import addressed, exit_code
        from imgpipe_cli.diagnose.doctor.examination import Subject, examine
        from imgpipe_cli.render import examinations

        wanted = COMMANDS if commands is None else tuple(_listed(commands))
        permissions.check_commands(wanted)
        configuration = _configuration(run)
        # Reading what is remembered must not make the folder.
        run.targets = Targets(state_dir.location())
        subject = Subject(
            target=run.target,
            remembered=run.remembered,
            region_from=_region_from(run),
            folder=run.folder,
            configuration=configuration,
            state=state_dir.location(),
            known=frozenset(_variables()),
            variables=os.environ,
            commands=wanted,
        )
        found = examine(subject)
        only = "" if commands is None else ",".join(wanted)
        checks = [addressed(check, _options(run), only) for check in found.checks]
        signed_in = found.connection
        if signed_in is not None:
            place = (signed_in.names.account, signed_in.aws.region, signed_in.endpoint)
            run.screen.target(signed_in.target, *place)
        return Result(
            data=examinations.document(checks),
            show=lambda screen: examinations.show(
                screen, checks, subject.target, verbose=run.options.verbose
            ),
            exit_code=exit_code(checks),
            errors=examinations.errors(checks),
        )


def _options(run: Run) -> str:
    """The options without which a command in the same shell would look at another place than this one."""
    asked = run.options
    given = Options(
        project=asked.project if asked.project == os.environ.get("IMGPIPE_PROJECT") else None,
        region=asked.region if asked.region == os.environ.get("IMGPIPE_REGION") else None,
        profile=asked.profile if asked.profile == os.environ.get("IMGPIPE_PROFILE") else None,
        local=asked.local if "IMGPIPE_LOCAL" in os.environ else None,
    )
    found = ""
    # One by one: what a pipeline is remembered with need not be said.
    for name in ("project", "local", "profile", "region"):
        value = getattr(run.target, name)
        if value is not None and value != getattr(_target(run, given), name):
            given = replace(given, **{name: value})
            place = "--local" if value else "--aws"
            found += f" {place}" if name == "local" else f" --{name} {shlex.quote(value)}"
    return found


def _target(run: Run, options: Options) -> Target:
    """Where a command with these options goes."""
    other = Run(run.command, options, run.screen, run.folder)
    other.targets, other.configuration = run.targets, run.configuration
    try:
        return other.target
    except Problem:  # these alone are wrong usage
        return Target()


def _listed(commands: str) -> list[str]:
    return [name.strip() for name in commands.split(",") if name.strip()]


def _configuration(run: Run) -> Any:
    """The folder's options, or what is wrong with its file: the rest is then checked without it."""
    try:
        return run.configuration
    except Problem as problem:
        run.configuration = {}
        return problem


def _region_from(run: Run) -> str:
    """Who chose the region, in the order in which it is chosen."""
    if run.options.region is not None:
        return "IMGPIPE_REGION" if os.environ.get("IMGPIPE_REGION") == run.options.region else "--region"
    if "region" in run.configuration:
        return "imgpipe.toml"
    if run.target.region is not None:
        return "as at the last imgpipe up"
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return name
    return "the AWS configuration file"


def _variables() -> Iterator[str]:
    """The variables of the options of all commands."""
    from imgpipe_cli.commands.program import whole_program

    def walk(found: Any) -> Iterator[str]:
        for parameter in found.params:
            names = parameter.envvar or ()
            yield from [names] if isinstance(names, str) else names
        for inner in getattr(found, "commands", {}).values():
            yield from walk(inner)

    return walk(whole_program())
