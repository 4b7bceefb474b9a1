"""Which permissions the caller lacks: simulated by IAM, or found out by reading, as all commands do first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import denied_action
from imgpipe_cli.aws.iam.uses import COMMANDS
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.permissions import document
from imgpipe_cli.deploy.resource import Resource
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.diagnose.doctor.checks import Check
from imgpipe_cli.diagnose.doctor.simulation import Decision, Simulation, principals, simulate
from imgpipe_cli.session.connection import Connection

_NOT_SEEN = (
    "A simulation does not see session policies, the policies of buckets and other resources, resource "
    "control policies and VPC endpoint policies."
)
_PRINTS = "imgpipe policy prints what the commands need"
_FIX = "imgpipe policy prints what is needed; have an administrator attach it"
_FIX_ABOVE = (
    "An administrator has to change what denies them; attaching the output of imgpipe policy is not enough."
)


@dataclass(frozen=True)
class Unsimulated:
    """Why nothing was decided by a simulation, and what to do to have it decided."""

    reason: str
    fix: str


def permissions_of(connection: Connection, caller: str, commands: Sequence[str]) -> Iterator[Check]:
    """What these commands need: simulated where that is possible and allowed, else tried out by reading.

    Raises AwsError.
    """
    aws, names = connection.aws, connection.names
    if caller.endswith(":root"):
        yield Check("permissions", "ok", "the root user may do everything that its organization allows")
        return
    why = _unsimulable(caller)
    if why is None:
        found, source = _simulated_as(aws, names, caller, commands)
        if isinstance(found, Unsimulated):
            why = found
        elif found.missing or (found.decisions and not found.undecided):
            yield simulated(found, needed_by(names, commands), source)
            return
        else:
            why = _undecided(found)
    denied, tried = read_everything(connection)
    own = by_action(needed_by(names, commands))
    others = by_action(needed_by(names, COMMANDS)).keys() - own.keys()
    missing = [action for action in denied if action not in others]
    yield tried_out(missing, tried, len(denied) - len(missing), why, own)


def _unsimulable(caller: str) -> Unsimulated | None:
    kind = caller.split(":", 5)[5].partition("/")[0]
    if kind in ("user", "assumed-role"):
        return None
    return Unsimulated(f"a {kind} has no policies of its own to simulate", f"{_PRINTS}.")


def _simulated_as(
    aws: Aws, names: Names, caller: str, commands: Sequence[str]
) -> tuple[Simulation | Unsimulated, str]:
    """What a simulation says, or why there is none; and of whose policies."""
    for source in principals(aws, caller):
        try:
            return simulate(aws, names, source, commands), source
        except AwsError as error:
            if error.code == "NoSuchEntity":
                continue  # a role of another path
            if action := denied_action(error):
                return Unsimulated(
                    f"{action} is not allowed", f"Allow {action} on {source}. {_PRINTS}."
                ), source
            return Unsimulated(error.code, f"{_PRINTS}."), source
    reason = "iam:GetRole of your own role is not allowed, so its path is unknown"
    return Unsimulated(reason, f"Allow iam:GetRole on your own role. {_PRINTS}."), ""


def _undecided(found: Simulation) -> Unsimulated:
    """Of a simulation that neither misses anything nor allows everything."""
    keys = sorted({key for one in found.undecided for key in one.depends_on})
    if not keys:
        return Unsimulated("IAM simulates none of these actions", f"{_PRINTS}.")
    actions = len({one.action for one in found.undecided})
    total = len({one.action for one in found.decisions})
    verb = "depends" if actions == 1 else "depend"
    return Unsimulated(f"{actions} of {total} actions {verb} on {', '.join(keys)}", f"{_PRINTS}.")


def needed_by(names: Names, commands: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """(action, resource) -> the commands that need it."""
    found: dict[tuple[str, str], list[str]] = {}
    for command in commands:
        for statement in document(names, [command], optional=False)["Statement"]:
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    found.setdefault((action, resource), []).append(command)
    return found


def by_action(needed: Mapping[tuple[str, str], Sequence[str]]) -> dict[str, list[str]]:
    """action -> the commands that need it on anything."""
    found: dict[str, list[str]] = {}
    for (action, _), commands in needed.items():
        known = found.setdefault(action, [])
        known.extend(command for command in commands if command not in known)
    return found


def simulated(found: Simulation, needed: Mapping[tuple[str, str], Sequence[str]], source: str) -> Check:
    """What a simulation says that decided something, missing actions by name."""
    actions = {decision.action for decision in found.decisions}
    unclear = [f"{action}: IAM does not simulate it" for action in dict.fromkeys(found.unclear)]
    left = f"; {len(unclear)} not simulated" if unclear else ""
    if not found.missing:
        seen = f"{len(actions)} actions simulated for {source}: all allowed{left}"
        if ":role/" in source:  # whoever took the role may have been given less of it
            return Check("permissions", "ok", f"{seen}. {_NOT_SEEN}", details=unclear)
        return Check("permissions", "ok", seen, details=[*unclear, _NOT_SEEN])
    unclear += [
        f"{one.action} on {_short(one.resource)}: depends on {', '.join(one.depends_on)}"
        for one in found.undecided
    ]
    names = dict.fromkeys(decision.action for decision in found.missing)
    seen = f"{len(names)} of {len(actions)} actions are missing for {source}{left}"
    above = any(decision.denied_by for decision in found.missing)
    fix = _FIX_ABOVE if above else f"{_FIX} to {_short(source)}."
    return Check("permissions", "failed", seen, fix, [*_lines(found.missing, needed), *unclear])


def _lines(missing: Iterable[Decision], needed: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    """One line for each action and set of commands that need it: on what, for what, and what denies it."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in missing:
        commands = ", ".join(needed.get((one.action, one.resource), ()))
        groups.setdefault((one.action, commands, one.denied_by), []).append(one.resource)
    for (action, commands, denied_by), resources in groups.items():
        more = f" and {len(resources) - 1} more" if len(resources) > 1 else ""
        by = f", denied by {denied_by}" if denied_by else ""
        yield f"{action} on {_short(resources[0])}{more}{f' (for {commands})' if commands else ''}{by}"


def _short(arn: str) -> str:
    """The ARN without what all of them share."""
    return arn.split(":", 5)[-1]


def read_everything(connection: Connection) -> tuple[list[str], int]:
    """The action that was denied at each part of the pipeline at which one was, and how many parts there
    are. Only reads, the same that every command begins with. Raises AwsError for other errors."""
    resources = [resource for step in STEPS for resource in step.resources]
    found = connection.aws.gather({one.name: partial(_denied, connection, one) for one in resources}).values()
    return [action for action in found if action], len(resources)


def _denied(connection: Connection, resource: Resource) -> str | None:
    try:
        resource.observe(connection.aws, connection.names)
    except AwsError as error:
        action = denied_action(error)
        if action is None:
            raise
        return action
    return None


def tried_out(
    denied: Sequence[str], tried: int, beside: int, why: Unsimulated, needed: Mapping[str, Sequence[str]]
) -> Check:
    """denied: the action at each part where one was. beside: how many of the parts tried were denied and
    concern other commands only."""
    how = f"not simulated ({why.reason}), only read"
    if not denied:
        parts = f"{tried - beside} of {tried}" if beside else f"all {tried}"
        others = ", and these commands do not look at the others" if beside else ""
        seen = f"{how}: {parts} parts of the pipeline may be read{others}; writing is not checked"
        return Check("permissions", "not_checked", seen, why.fix)
    missing = dict.fromkeys(denied)
    lines = [f"{action} (for {', '.join(needed.get(action, ())) or 'imgpipe'})" for action in missing]
    are = "1 action is" if len(missing) == 1 else f"{len(missing)} actions are"
    return Check("permissions", "failed", f"{how}: {are} missing at least", f"{_FIX}.", lines)
