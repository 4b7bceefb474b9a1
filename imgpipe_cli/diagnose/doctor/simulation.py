"""IAM's simulation of what a user or a role may do: its decisions on every action that commands need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.permissions import document

# IAM answers few simulations a second.
_SIDE_BY_SIDE = 4
# Of each partition: enabled in every account, and where IAM is called.
MAIN_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
# Without iam:GetRole, where IAM Identity Center has its roles: in some regions below one more folder.
_SSO_ROLE = "AWSReservedSSO_"
_SSO_PATH = "aws-reserved/sso.amazonaws.com/"


@dataclass(frozen=True)
class Decision:
    """What a simulation says of one action on one resource.

    denied_by: what denies it whatever the caller's own policies allow. depends_on: what a policy asks of the
    real call, such as aws:MultiFactorAuthPresent, and a simulation does not know; then it decides nothing.
    """

    action: str
    resource: str
    allowed: bool
    denied_by: str = ""
    depends_on: Sequence[str] = ()


@dataclass(frozen=True)
class Simulation:
    """unclear: actions that IAM does not simulate."""

    decisions: Sequence[Decision]
    unclear: Sequence[str] = ()

    @property
    def missing(self) -> list[Decision]:
        return [one for one in self.decisions if not one.allowed and not one.depends_on]

    @property
    def undecided(self) -> list[Decision]:
        return [one for one in self.decisions if not one.allowed and one.depends_on]


def principals(aws: Aws, caller: str) -> list[str]:
    """The ARN of the user or role whose policies are to be simulated; several where it has to be guessed."""
    parts = caller.split(":", 5)
    kind, _, rest = parts[5].partition("/")
    if kind == "user":
        return [caller]
    name = rest.split("/")[0]
    try:
        # The caller's ARN leaves out the role's path.
        return [str(aws.call("iam", "get_role", RoleName=name)["Role"]["Arn"])]
    except AwsError:
        paths = [_SSO_PATH, f"{_SSO_PATH}{aws.region}/"] if name.startswith(_SSO_ROLE) else [""]
        return [f"arn:{parts[1]}:iam::{parts[4]}:role/{path}{name}" for path in paths]


def simulate(aws: Aws, names: Names, source: str, commands: Sequence[str]) -> Simulation:
    """Every action of these commands, on what it is needed for. Raises AwsError."""
    statements = document(names, commands, optional=False)["Statement"]
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
        "aws:RequestedRegion": MAIN_REGIONS.get(names.partition, names.region) if is_iam else names.region
    }
    for keys in statement.get("Condition", {}).values():
        values |= keys
    for key, value in values.items():
        yield {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}


def _simulate(aws: Aws, params: Mapping[str, Any], actions: list[str]) -> Simulation:
    """Halved until IAM takes it: it refuses actions together that `require different authorization
    information`, and which those are is written nowhere."""
    try:
        # A caller that IAM does not know is no empty answer.
        results = aws.items(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            missing=(),
            **params,
            ActionNames=actions,
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
            action,
            str(one["EvalResourceName"]),
            decision == "allowed",
            _denied_by(decision, one, result),
            one.get("MissingContextValues") or (),
        )
    if not specific:
        decision = str(result["EvalDecision"])
        resource = str(result.get("EvalResourceName", "*"))
        depends_on = result.get("MissingContextValues") or ()
        yield Decision(action, resource, decision == "allowed", _denied_by(decision, result), depends_on)


def _denied_by(decision: str, *results: Mapping[str, Any]) -> str:
    for result in results:
        organization = result.get("OrganizationsDecisionDetail", {})
        boundary = result.get("PermissionsBoundaryDecisionDetail", {})
        if not organization.get("AllowedByOrganizations", True):
            return "the organization"
        if not boundary.get("AllowedByPermissionsBoundary", True):
            return "the permissions boundary"
    return "an explicit deny" if decision == "explicitDeny" else ""
