"""`imgpipe policy`: the IAM policy that the person needs who runs imgpipe."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.aws.names import Names

# What IAM takes in an ARN for an account or a region that is not known.
_ANY = "*"


def register(app: typer.Typer) -> None:
    @command(app)
    def policy(
        run: Run,
        commands: Annotated[
            str | None,
            typer.Option("--for", metavar="LIST", help="Only what these commands need (default: all)."),
        ] = None,
        account: Annotated[
            str | None,
            typer.Option(
                "--account", metavar="ID", help="The AWS account (default: that of the pipeline, else any)."
            ),
        ] = None,
        part: Annotated[
            int | None,
            typer.Option("--part", min=1, metavar="NUMBER", help="This part of a policy too long for one."),
        ] = None,
        explain: Annotated[
            bool, typer.Option("--explain", help="Show which call needs what, and what was not verified.")
        ] = False,
    ) -> Result:
        """Print the smallest IAM policy with which the commands work. Asks AWS nothing."""
        from imgpipe_cli.aws.iam.uses import COMMANDS
        from imgpipe_cli.deploy import permissions
        from imgpipe_cli.render import policies

        wanted = COMMANDS if commands is None else _listed(commands)
        permissions.check_commands(wanted)
        if explain:
            found = policies.explanation(wanted)
            return Result(data=found, show=lambda screen: policies.explain(screen, found))
        names = _names(run, account)
        whole = permissions.document(names, wanted)
        parts = permissions.fitted(whole)
        for what, value in (("account", names.account), ("region", names.region)):
            if value == _ANY:
                run.screen.aside(f"The {what} is not known, and * stands for it; --{what} names it.")
        if part is None and run.options.json:
            return Result(data={"policies": parts})
        chosen = _chosen(parts, part, permissions.size(whole))
        return Result(
            data={"policies": [chosen]}, show=lambda screen: screen.line(policies.text(chosen), exact=True)
        )


def _names(run: Run, account: str | None) -> Names:
    """The names that the pipeline has, or will have, in AWS; without a call."""
    from imgpipe_cli.aws.client import Aws, AwsError, Place
    from imgpipe_cli.aws.names import Names

    if run.asked("local", run.options.local):
        raise Problem(
            "bad_usage",
            "The local cloud asks for no permissions of yours.",
            hint="Choose AWS with --aws.",
            exit_code=ExitCode.USAGE,
        )
    if account is not None and not re.fullmatch("[0-9]{12}", account):
        raise Problem(
            "bad_usage",
            f"{account!r} is not the number of an AWS account.",
            hint="It has 12 digits; aws sts get-caller-identity shows yours.",
            exit_code=ExitCode.USAGE,
        )
    # Also after an `up --local`: the policy is for AWS.
    on_aws = replace(run, options=replace(run.options, local=False))
    known, target = on_aws.remembered, on_aws.target
    aws = Aws(Place(known.region if known else target.region, target.profile))
    found = account or (known.account if known else _ANY)
    try:
        return Names(target.project, found, aws.region, aws.partition)
    except AwsError as error:
        if error.code != "NoRegion":
            raise
        return Names(target.project, found, _ANY)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _chosen(parts: list[dict[str, Any]], part: int | None, size: int) -> dict[str, Any]:
    from imgpipe_cli.deploy.permissions import SIZE_MAX

    if part is None and len(parts) > 1:
        numbers = " and ".join(f"--part {number}" for number in range(1, len(parts) + 1))
        raise Problem(
            "policy_too_long",
            f"The policy has {size:,} characters, and IAM takes {SIZE_MAX:,} in one.",
            hint=f"Print it as {len(parts)} policies, with {numbers}, and attach all of them.",
            exit_code=ExitCode.USAGE,
        )
    if (part or 1) > len(parts):
        raise Problem(
            "bad_usage",
            f"There is no part {part}: the policy has {len(parts)}.",
            hint="Leave out --part." if len(parts) == 1 else f"Choose --part 1 to {len(parts)}.",
            exit_code=ExitCode.USAGE,
        )
    return parts[(part or 1) - 1]
