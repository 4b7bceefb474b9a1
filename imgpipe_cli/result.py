"""What a command found out, before it is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgpipe_cli.errors import ExitCode


@dataclass(frozen=True)
class Result:
    """What a command found out. data: the JSON document's data; show: draws it for people.

    more: what else the JSON document holds, behind its usual keys.
    streamed: everything was already printed line by line.
    """

    data: Any = None
    show: Callable[[Any], None] | None = None
    exit_code: ExitCode = ExitCode.DONE
    errors: Sequence[Mapping[str, Any]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    streamed: bool = False
