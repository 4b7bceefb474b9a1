"""Reading a policy as others may have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its statements: AWS takes a single one without its list, and gives it back so."""
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]
