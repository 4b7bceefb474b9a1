"""STS, IAM's policy simulation and Lambda's account settings over real HTTP, for what moto does not play.

The answers have the shapes of the services' API models; the refusal to simulate some actions together is
the one that IAM gives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

from tests.support import loopback
from tests.support.cli import ACCOUNT
from tests.support.loopback import Handler

Parameters = dict[str, str]


@dataclass
class LoopbackAws:
    """What it answers is set by the tests while it serves.

    ahead: of its clock. refused: the code with which STS refuses. refused_in: in which region; everywhere if
    empty. role_path: of every role.
    allowed: what the simulation says. above: what denies the rest, as a detail of the answer, such as
    OrganizationsDecisionDetail. apart: actions that are not simulated together with others.
    asks_for: a key of the real call that the caller's policies ask for. simulated_as: the only ARN that it
    knows; any if empty. refuses_all: it simulates no action at all.
    denied: actions that the caller itself may not do.
    """

    url: str
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/ann"
    ahead: timedelta = timedelta()
    refused: str = ""
    refused_in: str = ""
    role_path: str = "/"
    concurrency: int = 1000
    allowed: Callable[[str, str], bool] = lambda _action, _resource: True
    above: str = ""
    apart: frozenset[str] = frozenset()
    asks_for: str = ""
    simulated_as: str = ""
    refuses_all: bool = False
    denied: frozenset[str] = frozenset()
    requests: list[Parameters] = field(default_factory=list)

    def variables(self) -> dict[str, str]:
        """What sends the three services here."""
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in ("STS", "IAM", "LAMBDA")}

    def simulations(self) -> list[Parameters]:
        return [one for one in self.requests if one.get("Action") == "SimulatePrincipalPolicy"]

    # --- answers: status, body -----------------------------------------------------------------

    def post(self, given: Parameters, *, authorization: str) -> tuple[int, str]:
        self.requests.append(given)
        match given.get("Action"):
            case "GetCallerIdentity":
                return self._identity(authorization)
            case "SimulatePrincipalPolicy":
                return self._simulation(given)
            case "GetRole" if given["RoleName"] == "builder" and "iam:GetRole" not in self.denied:
                return self._role(given["RoleName"])
            case action:
                return self._nothing(f"iam:{action}")

    def s3(self) -> tuple[int, str]:
        """It knows none of the caller's rights, whatever is asked."""
        return 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"

    def get(self, path: str) -> tuple[int, str]:
        if path.rstrip("/").endswith("/account-settings"):
            if "lambda:GetAccountSettings" in self.denied:
                return 403, json.dumps(_denial(self.arn, "lambda:GetAccountSettings"))
            limit = {
                "ConcurrentExecutions": self.concurrency,
                "UnreservedConcurrentExecutions": self.concurrency,
            }
            return 200, json.dumps({"AccountLimit": limit})
        if "lambda:GetFunction" in self.denied:
            return 403, json.dumps(_denial(self.arn, "lambda:GetFunction"))
        return 404, json.dumps(
            {"Type": "User", "Message": "There is none.", "Code": "ResourceNotFoundException"}
        )

    def _identity(self, authorization: str) -> tuple[int, str]:
        if not authorization:
            return 403, _error("MissingAuthenticationToken", "Refused.")
        if self.refused and f"{self.refused_in}/sts/" in authorization:
            return 403, _error(self.refused, "Refused.")
        body = f"<Arn>{self.arn}</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
        return 200, _answer("GetCallerIdentity", body)

    def _role(self, name: str) -> tuple[int, str]:
        arn = f"arn:aws:iam::{ACCOUNT}:role{self.role_path}{name}"
        fields = f"<Path>{self.role_path}</Path><RoleName>{name}</RoleName><Arn>{arn}</Arn>"
        times = "<RoleId>AROA</RoleId><CreateDate>2026-01-01T00:00:00Z</CreateDate>"
        return 200, _answer("GetRole", f"<Role>{fields}{times}</Role>")

    def _nothing(self, action: str) -> tuple[int, str]:
        if action in self.denied:
            return 403, _error("AccessDenied", _denial(self.arn, action)["Message"])
        return 404, _error("NoSuchEntity", "There is none.")

    def _simulation(self, given: Parameters) -> tuple[int, str]:
        if "iam:SimulatePrincipalPolicy" in self.denied:
            return self._nothing("iam:SimulatePrincipalPolicy")
        if self.simulated_as not in ("", given["PolicySourceArn"]):
            return 404, _error("NoSuchEntity", "There is none.")
        actions, resources = _members(given, "ActionNames"), _members(given, "ResourceArns")
        if self.refuses_all:
            return 400, _error("InvalidInput", "Invalid Input Actions.")
        apart = [action for action in actions if action in self.apart]
        if apart and len(apart) < len(actions):
            others = [action for action in actions if action not in self.apart]
            both = f"[{','.join(others)}] and [{','.join(apart)}]"
            text = f"Invalid Input Actions: {both} require different authorization information."
            return 400, _error("InvalidInput", text)
        results = "".join(self._result(action, resources) for action in actions)
        body = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        return 200, _answer("SimulatePrincipalPolicy", body)

    def _result(self, action: str, resources: list[str]) -> str:
        each = "".join(self._specific(action, resource) for resource in resources)
        every = all(self.allowed(action, resource) for resource in resources)
        return (
            f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>"
            f"<EvalDecision>{_decision(every)}</EvalDecision>{'' if every else self.above}"
            f"<ResourceSpecificResults>{each}</ResourceSpecificResults></member>"
        )

    def _specific(self, action: str, resource: str) -> str:
        decision = _decision(self.allowed(action, resource))
        return (
            f"<member><EvalResourceName>{resource}</EvalResourceName>"
            f"<EvalResourceDecision>{decision}</EvalResourceDecision>{self._missing()}</member>"
        )

    def _missing(self) -> str:
        key = f"<member>{self.asks_for}</member>" if self.asks_for else ""
        return f"<MissingContextValues>{key}</MissingContextValues>"


def _decision(allowed: bool) -> str:
    return "allowed" if allowed else "implicitDeny"


def _members(given: Parameters, name: str) -> list[str]:
    return [value for key, value in given.items() if key.startswith(f"{name}.member.")]


def _answer(operation: str, body: str) -> str:
    return f"<{operation}Response><{operation}Result>{body}</{operation}Result></{operation}Response>"


def _error(code: str, message: str) -> str:
    inner = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
    return f"<ErrorResponse><Error>{inner}</Error><RequestId>1</RequestId></ErrorResponse>"


def _denial(arn: str, action: str) -> dict[str, str]:
    message = f"User: {arn} is not authorized to perform: {action} on resource: *"
    return {"Message": message, "Code": "AccessDeniedException"}


@contextmanager
def serving() -> Iterator[LoopbackAws]:
    played = LoopbackAws("")

    class Aws(Handler):
        def do_POST(self) -> None:
            given = {key: values[0] for key, values in parse_qs(self.body().decode()).items()}
            self._answer("text/xml", *played.post(given, authorization=self.headers.get("Authorization", "")))

        def do_GET(self) -> None:
            if self.path.startswith("/s3/"):
                self._answer("application/xml", *played.s3())
                return
            self._answer("application/json", *played.get(self.path.split("?")[0]))

        def _answer(self, kind: str, status: int, body: str) -> None:
            is_error = kind == "application/json" and status >= 400
            code = {"x-amzn-ErrorType": json.loads(body)["Code"]} if is_error else {}
            self.send(status, body.encode(), {"Content-Type": kind, **code})

        do_HEAD = do_GET

        def date_time_string(self, timestamp: float | None = None) -> str:
            assert timestamp is None  # only ever asked for the Date of the answer
            return format_datetime(datetime.now(UTC) + played.ahead, usegmt=True)

    with loopback.serving(Aws) as played.url:
        yield played
