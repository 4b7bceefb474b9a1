"""The longest chain of dependent calls in a recording: no order of sending could need fewer round trips.

A call depends on an earlier one only for a reason that the steps themselves give:

- everything depends on the sign-in, which tells the account that all names are made of;
- every change depends on the first look: nothing is changed before all of it was looked at;
- a look depends on the change of the same resource that it follows, a change on the look before it;
- a resource depends on the changes of the resources it needs (`up`), or that need it (`down`);
- and on the looks at those it needs, unless AWS's answer to a change tells what a look would;
- a look that needs the answer of another (an API's or a queue's address) depends on that;
- the last look of `down` depends on every change, and the API's first answer on all that it goes through.

Calls that merely happened one after the other do not count: the chain must not excuse a slow program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Resource
from imgpipe_cli.deploy.steps import STEPS
from recorded_calls import RecordedCall

SIGN_IN = "sign-in"
ANSWER = "answer"
# Resource -> the resource whose look gives it the address to look at.
_ADDRESSES = {"api.routes": "api", "api.stage": "api"}
_PART_OF_API = {"integrations": "api.routes", "routes": "api.routes", "stages": "api.stage"}
_WITHIN_API = re.compile(r"/(integrations|routes|stages)\b")
# What `down` counts, once it knows that it is there.
_COUNTS = ("?versions", "?uploads", "Scan")
_BEHIND_THE_API = ("api.routes", "api.stage", "permission.api.get_result")


class Chain:
    """The dependent calls of one run of one command."""

    def __init__(self, calls: Sequence[RecordedCall], names: Names, *, removing: bool) -> None:
        self._calls = sorted(calls, key=lambda call: call.start_s)
        self._resources = [resource_of(call, names) for call in self._calls]
        self._needs = _needs(removing=removing)
        self._looked_at = {} if removing else _needed_looks(self._needs)
        self._side_by_side = {r.name for step in STEPS for r in step.resources if r.parallel}
        writes = [call for call in self._calls if call.is_write]
        self._first_write_s = min((call.start_s for call in writes), default=float("inf"))
        self._last_write_s = max((call.end_s for call in writes), default=float("inf"))

    def longest(self) -> list[RecordedCall]:
        """The calls of the longest chain, in order."""
        lengths: list[int] = []
        before: list[int | None] = []
        for number in range(len(self._calls)):
            earlier = [other for other in range(number) if self._depends(number, other)]
            best = max(earlier, key=lambda other: lengths[other], default=None)
            lengths.append(1 + (lengths[best] if best is not None else 0))
            before.append(best)
        found = []
        at = max(range(len(lengths)), key=lambda number: lengths[number], default=None)
        while at is not None:
            found.append(self._calls[at])
            at = before[at]
        return found[::-1]

    def _depends(self, number: int, earlier: int) -> bool:
        later_call, call = self._calls[number], self._calls[earlier]
        later, resource = self._resources[number], self._resources[earlier]
        if call.end_s > later_call.start_s or resource == ANSWER:
            return False
        if resource == SIGN_IN or self._in_an_earlier_phase(later_call, call):
            return True
        if later == ANSWER:
            return any(self._resource_depends(r, resource, on_change=call.is_write) for r in _BEHIND_THE_API)
        if later == resource and (later_call.is_write or call.is_write):
            both = later_call.is_write and call.is_write
            return not (both and resource in self._side_by_side)
        if later_call.is_write or call.is_write:
            return self._resource_depends(later, resource, on_change=call.is_write)
        return self._looks_depend(later_call, call, later, resource)

    def _in_an_earlier_phase(self, later_call: RecordedCall, call: RecordedCall) -> bool:
        """The first look comes before all changes, the last look after them."""
        if later_call.is_write:
            return call.end_s <= self._first_write_s
        return call.is_write and later_call.start_s >= self._last_write_s

    def _resource_depends(self, later: str, resource: str, *, on_change: bool) -> bool:
        """Whether one resource depends on another: on its changes, or on the looks at it."""
        needs = self._needs if on_change else self._looked_at
        return later == resource or resource in needs.get(later, frozenset())

    def _looks_depend(self, later_call: RecordedCall, call: RecordedCall, later: str, resource: str) -> bool:
        if later != resource:
            # An address that was looked up once is known from then on.
            return _ADDRESSES.get(later) == resource and later_call.start_s < self._first_write_s
        if later == "queue":
            return call.operation == "GetQueueUrl" != later_call.operation
        return later_call.operation.endswith(_COUNTS) and not call.operation.endswith(_COUNTS)


def _needs(*, removing: bool) -> Mapping[str, frozenset[str]]:
    """Resource -> all that has to be settled before it, the needs of its needs included."""
    direct: dict[str, set[str]] = {r.name: set(r.needs) for step in STEPS for r in step.resources}
    if removing:
        direct = {name: {user for user, needs in direct.items() if name in needs} for name in direct}
    found = {name: set(needs) for name, needs in direct.items()}
    for _ in found:
        for needs in found.values():
            needs |= {further for need in needs for further in direct[need]}
    return {name: frozenset(needs) for name, needs in found.items()}


def _needed_looks(needs: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
    """Resource -> those of the resources it needs whose looks it waits for."""
    resources = {r.name: r for step in STEPS for r in step.resources}
    untold = {name for name, one in resources.items() if type(one).answered is Resource.answered}
    return {
        name: frozenset(needed for needed in needs[name] if needed in (*untold, *one.needs_shown))
        for name, one in resources.items()
    }


def resource_of(call: RecordedCall, names: Names) -> str:
    """The resource of the steps that a call is about."""
    if call.service in ("iam", "lambda", "logs"):
        return _of_a_function(call, names)
    within = _WITHIN_API.search(call.subject)
    of_service = {
        "sts": SIGN_IN,
        "execute-api": ANSWER,
        "s3": "notification" if call.operation.endswith("?notification") else "bucket",
        "dynamodb": _of_a_table(call, names),
        "sqs": "queue",
        "ssm": "token" if names.token_parameter in call.subject else "settings",
        "apigateway": _PART_OF_API[within[1]] if within else "api",
    }
    return of_service[call.service]


def _of_a_table(call: RecordedCall, names: Names) -> str:
    if names.index_table in call.subject:
        return "index_table"
    return "table.ttl" if "TimeToLive" in call.operation else "table"


def _of_a_function(call: RecordedCall, names: Names) -> str:
    """Roles, functions and log groups: their names end with the function's."""
    if names.access_log_group in call.subject:
        return "logs.api"
    function = next(f for f in ("ingest", "get_result", "web") if f.replace("_", "-") in call.subject)
    if call.service == "iam":
        return f"role.{function}"
    if call.service == "logs":
        return f"logs.{function}"
    if "/event-invoke-config" in call.subject:
        return "retries"
    if "/policy" in call.subject:
        return "permission.bucket" if function == "ingest" else f"permission.api.{function}"
    return f"function.{function}"
