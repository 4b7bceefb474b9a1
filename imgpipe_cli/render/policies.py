"""The operator's policy: the JSON that IAM takes, and what each part of it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgpipe_cli.deploy import permissions
from imgpipe_cli.render.columns import SENTENCE, Column, Columns
from imgpipe_cli.render.styled import Text

if TYPE_CHECKING:
    from imgpipe_cli.render.screen import Screen


def text(policy: Mapping[str, Any]) -> str:
    """As a file for `aws iam create-policy --policy-document`."""
    return json.dumps(policy, indent=2)


def explanation(commands: Sequence[str]) -> dict[str, Any]:
    """Which call needs what and who sends it, and of the whole: what it admits, what is wider than the
    pipeline, and what was not verified."""
    needed = permissions.needs(commands)
    scopes = {grant.scope for entry in needed.values() for grant in entry.grants}
    return {
        "calls": [
            {
                "call": ".".join(call),
                "actions": list(entry.actions),
                "commands": [command for command in entry.commands if command in commands],
                "verified": not entry.unverified,
            }
            for call, entry in needed.items()
        ],
        "admits": permissions.admits(commands),
        "wide": {scope.name: scope.why for scope in sorted(scopes, key=lambda one: one.name) if scope.why},
        "unverified": {
            ".".join(call): entry.unverified for call, entry in needed.items() if entry.unverified
        },
        "optional": {".".join(call): entry.optional for call, entry in needed.items() if entry.optional},
    }


def explain(screen: Screen, found: Mapping[str, Any]) -> None:
    """The explanation as a table, and the reasons below it."""
    drawn = Columns(Column("Call"), Column("Needs"), Column("Sent by", least=SENTENCE))
    for call in found["calls"]:
        # A mark beside the call: the table is also read without colors.
        name = call["call"] if call["verified"] else f"{call['call']} (?)"
        drawn.add_row(Text(name), Text("\n".join(call["actions"])), Text(", ".join(call["commands"])))
    screen.show(drawn)
    if found["admits"]:
        screen.line(f"Beyond the pipeline: {found['admits']}.")
    _reasons(screen, "Wider than the pipeline:", found["wide"])
    _reasons(screen, "(?) Not verified on AWS:", found["unverified"])
    _reasons(screen, "Optional:", found["optional"])


def _reasons(screen: Screen, title: str, reasons: Mapping[str, str]) -> None:
    if reasons:
        screen.line(title)
        for name, why in reasons.items():
            screen.line(f"  {name}: {why}.")
