"""Whom a resource's policy lets in beside AWS's services: everybody, or another account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgpipe_cli.deploy.resources.policy_document import statements

# A condition on one of these says whom it is about; others, such as a function URL's kind, do not.
_BINDING = frozenset(
    {
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principalorgid",
    }
)


def external_access(document: Mapping[str, Any], account: str) -> Iterator[tuple[str, str]]:
    """(statement, who) for each allowing statement that lets somebody in whom no condition binds."""
    for statement in statements(document):
        if statement.get("Effect") == "Allow" and not _bound(statement):
            for who in _principals(statement.get("Principal")):
                if who == "*":
                    yield str(statement.get("Sid", "without a name")), "everybody"
                elif account not in who:
                    yield str(statement.get("Sid", "without a name")), who


def _bound(statement: Mapping[str, Any]) -> bool:
    return any(
        key.lower() in _BINDING and value != "*" and "Not" not in operator
        for operator, operands in statement.get("Condition", {}).items()
        for key, value in operands.items()
    )


def _principals(principal: Any) -> list[str]:
    """The accounts, users and roles; services are not strangers."""
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else principal
    return [named] if isinstance(named, str) else list(named or [])
