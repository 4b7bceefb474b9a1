"""Which permissions the caller lacks: simulated by IAM, or found out by reading, as all commands do first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from imgpipe_cli.aws import Aws, AwsError
from imgpipe_cli.aws_problems import denied_action
from imgpipe_cli.doctor.checks import Check
from imgpipe_cli.names import Names
from imgpipe_cli.permissions import COMMANDS, document
from imgpipe_cli.steps import STEPS
from imgpipe_cli.steps.base import Resource
from imgpipe_cli.target import Connection

# IAM answers few simulations a second.
_SIDE_BY_SIDE = 4
# IAM is called in one region of each partition.
_IAM_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_NOT_SEEN = "A simulation does not see session policies, resource control policies and VPC endpoint policies."
_FIX = "imgpipe policy prints what is needed; have an administrator attach it"
_FIX_ABOVE = (
    "An administrator has to change what denies them; attaching the output of imgpipe policy is not enough."
)


@dataclass(frozen=True)
class Decision:
    """What a simulation says of one action on one resource.

    denied_by: what denies it whatever the caller's own policies allow.
    """

    action: str
    resource: str
    allowed: bool
    denied_by: str = ""


@dataclass(frozen=True)
class Simulation:
    """unclear: actions that IAM does not simulate."""

    decisions: Sequence[Decision]
    unclear: Sequence[str] = ()


def permissions_of(connection: Connection, caller: str, commands: Sequence[str]) -> Iterator[Check]:
    """What these commands need: simulated where that is possible and allowed, else tried out by reading.

    Raises AwsError.
    """
    aws, names = connection.aws, connection.names
    if caller.endswith(":root"):
        yield Check("permissions", "ok", "the root user may do everything that its organization allows")
        return
    source, reason = principal(aws, caller)
    if source is not None:
        try:
            yield simulated(simulate(aws, names, source, commands), needed_by(names, commands), source)
            return
        except AwsError as error:
            reason = f"{denied_action(error)} is not allowed" if denied_action(error) else error.code
    denied, tried = read_everything(connection)
    others = by_action(needed_by(names, COMMANDS)).keys() - by_action(needed_by(names, commands)).keys()
    denied = [action for action in denied if action not in others]
    yield tried_out(denied, tried, reason, by_action(needed_by(names, commands)))


# --- who -----------------------------------------------------------------------------------------


def principal(aws: Aws, caller: str) -> tuple[str | None, str]:
    """The ARN of the user or role whose policies can be simulated; else None and why not."""
    parts = caller.split(":", 5)
    kind, _, rest = parts[5].partition("/")
    if kind == "user":
        return caller, ""
    if kind != "assumed-role":
        return None, f"a {kind} has no policies of its own to simulate"
    name = rest.split("/")[0]
    try:
        # The caller's ARN leaves out the role's path.
        return str(aws.call("iam", "get_role", RoleName=name)["Role"]["Arn"]), ""
    except AwsError:
        return f"arn:{parts[1]}:iam::{parts[4]}:role/{name}", ""


def needed_by(names: Names, commands: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """(action, resource) -> the commands that need it."""
    found: dict[tuple[str, str], list[str]] = {}
    for command in commands:
        for statement in document(names, [command])["Statement"]:
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


# --- simulating ----------------------------------------------------------------------------------


def simulate(aws: Aws, names: Names, source: str, commands: Sequence[str]) -> Simulation:
    """Every action of these commands, on what it is needed for. Raises AwsError."""
    statements = document(names, commands)["Statement"]
    found: list[Simulation] = []
    for start in range(0, len(statements), _SIDE_BY_SIDE):
        some = statements[start : start + _SIDE_BY_SIDE]
        asked = {one["Sid"]: partial(_statement, aws, names, source, one) for one in some}
        found.extend(aws.together(asked).values())
    return Simulation(
        [decision for one in found for decision in one.decisions],
        [action for one in found for action in one.unclear],
    )


def _statement(aws: Aws, names: Names, source: str, statement: Mapping[str, Any]) -> Simulation:
    params = {
        "PolicySourceArn": source,
        "ResourceArns": statement["Resource"],
        "ContextEntries": list(_context(statement, names)),
    }
    return _simulate(aws, params, list(statement["Action"]))


def _context(statement: Mapping[str, Any], names: Names) -> Iterator[dict[str, Any]]:
    """What the real call would carry: policies may ask for it."""
    is_iam = statement["Action"][0].startswith("iam:") and "Condition" not in statement
    values = {
        "aws:RequestedRegion": _IAM_REGIONS.get(names.partition, names.region) if is_iam else names.region
    }
    for keys in statement.get("Condition", {}).values():
        values |= keys
    for key, value in values.items():
        yield {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}


def _simulate(aws: Aws, params: Mapping[str, Any], actions: list[str]) -> Simulation:
    """Halved until IAM takes it: it refuses actions together that `require different authorization
    information`, and which those are is written nowhere."""
    try:
        results = aws.items(
            "iam", "simulate_principal_policy", "EvaluationResults", **params, ActionNames=actions
        )
    except AwsError as error:
        if error.code != "InvalidInput":
            raise
        if len(actions) == 1:
            return Simulation([], actions)
        middle = len(actions) // 2
        first, second = (_simulate(aws, params, half) for half in (actions[:middle], actions[middle:]))
        return Simulation([*first.decisions, *second.decisions], [*first.unclear, *second.unclear])
    return Simulation([decision for result in results for decision in decisions(result)])


def decisions(result: Mapping[str, Any]) -> Iterator[Decision]:
    """The decisions of one of IAM's EvaluationResults, for each resource where it names them."""
    action = str(result["EvalActionName"])
    specific = result.get("ResourceSpecificResults") or []
    for one in specific:
        decision = str(one["EvalResourceDecision"])
        yield Decision(
            action, str(one["EvalResourceName"]), decision == "allowed", _denied_by(decision, one, result)
        )
    if not specific:
        decision = str(result["EvalDecision"])
        resource = str(result.get("EvalResourceName", "*"))
        yield Decision(action, resource, decision == "allowed", _denied_by(decision, result))


def _denied_by(decision: str, *results: Mapping[str, Any]) -> str:
    for result in results:
        organization = result.get("OrganizationsDecisionDetail", {})
        boundary = result.get("PermissionsBoundaryDecisionDetail", {})
        if not organization.get("AllowedByOrganizations", True):
            return "the organization"
        if not boundary.get("AllowedByPermissionsBoundary", True):
            return "the permissions boundary"
    return "an explicit deny" if decision == "explicitDeny" else ""


def simulated(found: Simulation, needed: Mapping[tuple[str, str], Sequence[str]], source: str) -> Check:
    """What a simulation says, missing actions by name."""
    missing = [decision for decision in found.decisions if not decision.allowed]
    actions = {decision.action for decision in found.decisions}
    unclear = [f"{action}: IAM does not simulate it" for action in dict.fromkeys(found.unclear)]
    if not missing:
        seen = f"{len(actions)} actions simulated for {source}: all allowed"
        return Check("permissions", "ok", seen, details=[*unclear, _NOT_SEEN])
    names = dict.fromkeys(decision.action for decision in missing)
    seen = f"{len(names)} of {len(actions)} actions are missing for {source}"
    above = any(decision.denied_by for decision in missing)
    fix = _FIX_ABOVE if above else f"{_FIX} to {_short(source)}."
    return Check("permissions", "failed", seen, fix, [*_lines(missing, needed), *unclear])


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


# --- trying it out -------------------------------------------------------------------------------


def read_everything(connection: Connection) -> tuple[list[str], int]:
    """The actions that were denied while looking at every part of the pipeline, and how many parts those
    were. Only reads, the same that every command begins with. Raises AwsError for other errors."""
    resources = [resource for step in STEPS for resource in step.resources]
    with ThreadPoolExecutor(len(resources), thread_name_prefix="look") as pool:
        found = list(pool.map(partial(_denied, connection), resources))
    return list(dict.fromkeys(action for action in found if action)), len(resources)


def _denied(connection: Connection, resource: Resource) -> str | None:
    try:
        resource.observe(connection.aws, connection.names)
    except AwsError as error:
        action = denied_action(error)
        if action is None:
            raise
        return action
    return None


def tried_out(denied: Sequence[str], tried: int, reason: str, needed: Mapping[str, Sequence[str]]) -> Check:
    """denied: of the reads of so many parts. reason: why nothing was simulated."""
    how = f"not simulated ({reason}), only read"
    if not denied:
        seen = f"{how}: all {tried} parts of the pipeline may be read, writing is not checked"
        return Check("permissions", "not_checked", seen, "imgpipe policy prints everything that is needed.")
    lines = [f"{action} (for {', '.join(needed.get(action, ())) or 'imgpipe'})" for action in denied]
    seen = f"{how}: {len(denied)} actions are missing at least"
    return Check("permissions", "failed", seen, f"{_FIX}.", lines)
