"""What AWS refuses for a while: errors that go away by themselves, and how long they are waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.errors import ExitCode, Problem, sentence
from imgpipe_cli.events import Note

# A new role, policy or tag is visible to other services only after a while; 5 to 30 s are common.
IAM_DELAY = "waiting for IAM to spread the new role"


@dataclass(frozen=True)
class Fallback:
    """Settings that the pipeline also works with, where AWS refuses for good what the present ones ask for.

    `up` goes on with them and stores them, so that the next one does not ask again. settings: names and
    values. note: what the user is told.
    """

    settings: Mapping[str, Any]
    note: Note


@dataclass(frozen=True)
class TransientError:
    """An error that goes away by itself: its exact code, and a part of its message where one code has
    several meanings.

    outdated: the value (of `Aws.known`) that may have changed meanwhile: it is looked up again.
    hint: what the user can do if it does not pass. said: the message of the error that was met.
    fallback: what to go on with if it does not pass; with a limit of 0 s it never does.
    """

    code: str
    text: str = ""
    why: str = ""
    limit_s: float = 120.0
    outdated: str = ""
    hint: str = ""
    said: str = ""
    fallback: Fallback | None = None

    def matches(self, error: AwsError) -> bool:
        return error.code == self.code and self.text in error.message


class Outlasted(Problem):
    """What was waited for has taken longer than it may."""

    def __init__(self, resource: str, transient: TransientError, waited_s: float) -> None:
        said = f" AWS says: {sentence(transient.said)}" if transient.said else ""
        super().__init__(
            "timeout",
            f"{resource} is not ready after {waited_s:.0f} s: {transient.why}.{said}",
            hint=transient.hint
            or "Run the command again: it continues here. imgpipe status shows the state.",
            exit_code=ExitCode.PENDING,
        )
        self.transient = transient
