"""The IAM policy that the person who runs imgpipe needs: from each call of a command to its IAM actions.

Each resource names its own calls in `Resource.iam`, the commands name theirs in `aws/iam/commands.py`. The
policy is made from these rows alone; tests hold them against the calls that the commands really send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from imgpipe_cli.aws.iam.commands import OWN
from imgpipe_cli.aws.iam.scopes import Scope
from imgpipe_cli.aws.iam.uses import COMMANDS, LOOK, Entry, Use, merged
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.steps import SERVICES, STEPS
from imgpipe_cli.errors import ExitCode, Problem

SIZE_MAX = 6144
"""The most characters that a managed policy may have; IAM does not count white space."""

Calls = Mapping[tuple[str, str], Entry]
_ORDER = ("sts", *SERVICES)
_READING = ("get", "list", "head", "scan", "receive")
# Log lines are about all that came before.
_LAST = ("delete", "abort", "remove", "filter")


def calls_of(steps: Sequence[Step]) -> Calls:
    """The operations that all commands send to a pipeline of these steps, with what each needs.

    Service by service, and in each as they are sent: observing first, removing last. The commands can do
    without the last rows: where two policies are needed, these are in the second.
    """
    rows = [row for step in steps for resource in step.resources for row in resource.iam]
    return dict(merged(sorted((*rows, *OWN), key=_place)))


def _place(row: Use) -> tuple[bool, int, int]:
    service = _ORDER.index(row.service) if row.service in _ORDER else len(_ORDER)
    verb = row.operation.partition("_")[0]
    turn = 1 if verb in _READING else 3 if verb in _LAST else 2
    observed = row.entry.commands == LOOK
    return bool(row.entry.optional), service, 0 if observed else turn


CALLS = calls_of(STEPS)


# --- the policy ------------------------------------------------------------------------------------


def check_commands(commands: Sequence[str]) -> None:
    """Raise a usage Problem for a command that is none, or when none is named."""
    unknown = [command for command in commands if command not in COMMANDS]
    if unknown or not commands:
        what = f"There is no command {', '.join(unknown)}" if unknown else "No command is named"
        raise Problem(
            "bad_usage",
            f"{what} that calls AWS.",
            hint=f"Choose from {', '.join(COMMANDS)}.",
            exit_code=ExitCode.USAGE,
        )


def needs(
    commands: Sequence[str] = COMMANDS, *, optional: bool = True, calls: Calls = CALLS
) -> dict[tuple[str, str], Entry]:
    """The calls that these commands send, with what they need there. Raises a usage Problem.

    optional: also the calls that they can do without.
    """
    check_commands(commands)
    found: dict[tuple[str, str], Entry] = {}
    for call, entry in calls.items():
        grants = tuple(grant for grant in entry.grants if not set(commands).isdisjoint(grant.commands))
        if grants and (optional or not entry.optional):
            found[call] = replace(entry, grants=grants)
    return found


def document(
    names: Names, commands: Sequence[str] = COMMANDS, *, optional: bool = True, calls: Calls = CALLS
) -> dict[str, Any]:
    """The smallest policy with which these commands work. Raises a usage Problem for an unknown command.

    optional: also what they can do without.
    """
    granted: dict[Scope, set[str]] = {}
    for entry in needs(commands, optional=optional, calls=calls).values():
        for grant in entry.grants:
            granted.setdefault(grant.scope, set()).add(grant.action)
    statements = [
        scope.statement(names, needed)
        for scope, actions in granted.items()
        if (needed := [action for action in actions if not _wider(scope, action, granted, names)])
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def admits(commands: Sequence[str] = COMMANDS) -> str:
    """What a holder of these permissions can do beyond the pipeline, though each of them is needed; "" where
    it is nothing. Raises a usage Problem."""
    given = {action for entry in needs(commands).values() for action in entry.actions}
    if "iam:PutRolePolicy" in given and "iam:PassRole" in given:
        return (
            "a holder of these permissions can become administrator of the account, by writing the policies "
            "of the functions' roles. Give them to administrators only"
        )
    if "lambda:UpdateFunctionCode" in given:
        return "a holder of these permissions can change a function's code, and so do what its role may do"
    return ""


def _wider(scope: Scope, action: str, granted: Mapping[Scope, set[str]], names: Names) -> bool:
    """Whether the action is granted on more than this as well."""
    own = set(scope.arns(names))
    return any(action in actions and own < set(other.arns(names)) for other, actions in granted.items())


def size(policy: Mapping[str, Any]) -> int:
    """How many characters IAM counts: those that are not white space."""
    return len("".join(json.dumps(policy, separators=(",", ":")).split()))


def fitted(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same permissions in as few policies as IAM has room for: one, with statements put together if it
    must be, or with long names two. What is optional comes last."""
    if size(policy) <= SIZE_MAX:
        return [dict(policy)]
    parts: list[dict[str, Any]] = []
    for statement in _put_together(policy["Statement"]):
        # One action, or one resource, needs no list.
        bare = {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value
            for key, value in statement.items()
        }
        together = {**policy, "Statement": [*(parts[-1]["Statement"] if parts else []), bare]}
        if parts and size(together) <= SIZE_MAX:
            parts[-1] = together
        else:
            parts.append({**policy, "Statement": [bare]})
    return parts


def _put_together(statements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without ids, and statements of different services as one: an action of one service can be about no
    resource of another, so nothing more is allowed."""
    found: list[dict[str, Any]] = []
    for statement in statements:
        plain = {key: value for key, value in statement.items() if key != "Sid"}
        service = _service(statement)
        room = next((one for one in found if service and _has_room(one, service)), None)
        if room is None:
            found.append(plain)
        else:
            room["Action"] = [*room["Action"], *plain["Action"]]
            room["Resource"] = [*room["Resource"], *plain["Resource"]]
    return found


def _service(statement: Mapping[str, Any]) -> str:
    """The one service that a statement is about; "" where it names no resource, or has a condition."""
    services = {action.partition(":")[0] for action in statement["Action"]}
    named = "*" not in statement["Resource"] and "Condition" not in statement
    return services.pop() if named and len(services) == 1 else ""


def _has_room(statement: Mapping[str, Any], service: str) -> bool:
    there = {action.partition(":")[0] for action in statement["Action"]}
    return "Condition" not in statement and "*" not in statement["Resource"] and service not in there
