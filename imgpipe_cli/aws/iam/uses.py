"""How a resource, or a command, names the operations that it sends and the IAM actions that they need.

A row is written where the call is: `uses(UP, QUEUE, "sqs.set_queue_attributes")`. An operation that
needs more than the action of its own name says so with `Op`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgpipe_cli.aws.iam.action_names import action_of
from imgpipe_cli.aws.iam.scopes import Scope

COMMANDS = (
    "up",
    "upload",
    "result",
    "list",
    "find",
    "labels",
    "export",
    "rm",
    "explain",
    "cost",
    "retry",
    "watch",
    "logs",
    "open",
    "token",
    "status",
    "down",
)
UP = ("up",)
DOWN = ("down",)
UP_AND_DOWN = ("up", "down")
# These observe every resource.
LOOK = ("up", "explain", "status", "down")
# `token --rotate`.
TOKEN = ("token",)


@dataclass(frozen=True)
class Grant:
    """One action on a set of resources, for the commands that need it there."""

    action: str
    scope: Scope
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What one operation needs: its own action first, then those that depend on its parameters.

    unverified: what of it no source of AWS's confirms, and what speaks for it; "" where all is confirmed.
    optional: what the commands do without it; "" where they need it.
    """

    grants: tuple[Grant, ...]
    unverified: str = ""
    optional: str = ""

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(grant.action for grant in self.grants))

    @property
    def commands(self) -> tuple[str, ...]:
        sent_by = {command for grant in self.grants for command in grant.commands}
        return tuple(command for command in COMMANDS if command in sent_by)

    def __or__(self, other: Entry) -> Entry:
        """The needs of both: several resources and commands send the same operation."""
        return Entry(
            tuple(dict.fromkeys((*self.grants, *other.grants))),
            self.unverified or other.unverified,
            self.optional or other.optional,
        )


@dataclass(frozen=True)
class Op:
    """An operation whose own action is not all that there is to say.

    label: service and operation, "s3.head_object". action: instead of IAM's name of the operation.
    also: what AWS checks besides, on the same resources or on those that are named. unverified, optional: as
    in `Entry`.
    """

    label: str
    also: tuple[str | tuple[Scope, str], ...] = ()
    action: str = ""
    unverified: str = ""
    optional: str = ""


@dataclass(frozen=True)
class Use:
    """One operation, by boto3's names, with its needs."""

    service: str
    operation: str
    entry: Entry


def uses(commands: tuple[str, ...], scope: Scope, *operations: str | Op) -> tuple[Use, ...]:
    """Operations that these commands send to these resources."""
    return tuple(_use(commands, scope, Op(one) if isinstance(one, str) else one) for one in operations)


def _use(commands: tuple[str, ...], scope: Scope, op: Op) -> Use:
    service, operation = op.label.split(".")
    own = op.action or action_of(service, operation)
    pairs = [(scope, own), *((scope, more) if isinstance(more, str) else more for more in op.also)]
    grants = tuple(Grant(action, where, commands) for where, action in pairs)
    return Use(service, operation, Entry(grants, op.unverified, op.optional))


def merged(rows: Iterable[Use]) -> Iterator[tuple[tuple[str, str], Entry]]:
    """((service, operation), its needs), each operation once."""
    found: dict[tuple[str, str], Entry] = {}
    for row in rows:
        call = (row.service, row.operation)
        found[call] = found[call] | row.entry if call in found else row.entry
    yield from found.items()
