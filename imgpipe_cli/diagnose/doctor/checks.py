"""One thing that was looked at and what is to be said about it; and how many are looked at side by side."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Literal

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import denied_action, problem
from imgpipe_cli.errors import ExitCode, Problem

Outcome = Literal["ok", "warning", "failed", "not_checked"]

# Id -> title, in the order in which people read them. Scripts rely on the ids.
TITLES: Mapping[str, str] = {
    "python": "Python",
    "libraries": "Libraries",
    "local_extra": "Local extra",
    "state_dir": "State folder",
    "configuration": "imgpipe.toml",
    "environment": "Variables",
    "region": "Region",
    "rekognition": "Rekognition",
    "credentials": "Credentials",
    "identity": "Signed in as",
    "proxy": "Proxy",
    "endpoints": "Endpoints",
    "network": "Network",
    "clock": "Clock",
    "concurrency": "Concurrency",
    "permissions": "Permissions",
    "pipeline": "Pipeline",
    "cap": "Side by side",
    "local_cloud": "Local cloud",
    "local_models": "Local models",
    "disk": "Disk",
}


@dataclass(frozen=True)
class Check:
    """id: one of TITLES. seen: what was found. fix: what to do, a command where there is one.

    details: what `seen` sums up, one a line.
    """

    id: str
    outcome: Outcome
    seen: str
    fix: str = ""
    details: Sequence[str] = ()

    @property
    def title(self) -> str:
        return TITLES[self.id]


# Commands as texts have them. Those that say themselves where, such as `imgpipe up --local`, stay.
_COMMAND = re.compile(r"\bimgpipe (?P<name>up|status|retry|policy|doctor)\b(?! --(?:local|region))")


def addressed(check: Check, options: str, only: str) -> Check:
    """The same with commands that look at what was looked at.

    options: those that name it, where commands without any mean another place. only: the commands whose
    permissions were asked for, if not all.
    """

    def whole(found: re.Match[str]) -> str:
        limited = f" --for {only}" if only and found["name"] == "policy" else ""
        return f"{found[0]}{options}{limited}"

    return replace(check, seen=_COMMAND.sub(whole, check.seen), fix=_COMMAND.sub(whole, check.fix))


Question = Callable[[], Iterable[Check]]


def exit_code(checks: Iterable[Check]) -> ExitCode:
    """Warnings are no failure, and neither is what could not be checked."""
    return ExitCode.FAILED if any(check.outcome == "failed" for check in checks) else ExitCode.DONE


def of_problem(check: str, found: Problem) -> Check:
    return Check(check, "failed", found.message, found.hint)


# Told once, by the check of the credentials.
_NO_CREDENTIALS = frozenset(
    {
        *("NoCredentials", "BrokenCredentials", "HalfAPair", "MfaNeeded", "CrtNeeded"),
        *("SsoLogin", "AwsLogin", "BadProfile", "BadFile", "BadKeys"),
    }
)


def of_error(check: str, error: AwsError) -> Check:
    """A call that failed; one that was not allowed, or not even sent, says nothing about what was asked."""
    action = denied_action(error)
    if action is not None:
        fix = f"Allow {action} to have this checked."
        return Check(check, "not_checked", f"{action} is not allowed", fix)
    if error.code in _NO_CREDENTIALS:
        return Check(check, "not_checked", "there are no credentials to ask with")
    if error.code == "BadSetting" and error.setting is not None:
        return Check(check, "not_checked", f"{error.setting.name} is not right")
    return of_problem(check, problem(error))


def ask(questions: Mapping[str, Question], *, limit_s: float) -> dict[str, Check]:
    """The answers by id. All are asked side by side, and whoever has none in time is not waited for."""
    answers = {check: _begin(question) for check, question in questions.items()}
    deadline = time.monotonic() + limit_s
    found: dict[str, Check] = {}
    for check, answer in answers.items():
        found |= {one.id: one for one in _answer(check, answer, deadline, limit_s)}
    return found


def _begin(question: Question) -> Future[list[Check]]:
    future: Future[list[Check]] = Future()

    def answer() -> None:
        try:
            future.set_result(list(question()))
        except BaseException as error:
            future.set_exception(error)

    # Not a pool: the end of the program would wait for its threads. __main__.py knows them by their name.
    threading.Thread(target=answer, name="doctor", daemon=True).start()
    return future


def _answer(check: str, answer: Future[list[Check]], deadline: float, limit_s: float) -> list[Check]:
    try:
        return answer.result(timeout=max(deadline - time.monotonic(), 0))
    except TimeoutError:
        seen = f"no answer within {limit_s:.0f} seconds"
        return [
            Check(check, "failed", seen, "Check the network and the proxy, then run imgpipe doctor again.")
        ]
    except AwsError as error:
        return [of_error(check, error)]
    except Problem as error:
        return [of_problem(check, error)]
    except Exception as error:  # one broken look must not hide what the others found
        seen = f"something unexpected happened ({type(error).__name__}: {error})"
        return [Check(check, "failed", seen, "Report it, with what imgpipe doctor --json prints.")]
