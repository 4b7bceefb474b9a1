"""AWS as it really behaves: a layer between the SDK and moto that adds what emulators hide.

What is refused is answered at the wire, so the SDK's own parser, errors and retries are passed through. Time
is simulated: it passes only while everybody who works on the account is asleep, or waits before a retry.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSResponse
from botocore.retries.standard import register_retry_handler
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

from imgpipe_cli.aws.client import Aws, Place
from tests.support.account import fresh_account
from tests.support.operations import is_read

REGION = "eu-west-1"
# How long, in real seconds, everybody must be quiet before the simulated clock moves on.
_QUIET_S = 0.001
_RETRIES_OF = "retry-config-"  # the name under which the SDK registers its retries


@dataclass(frozen=True)
class Call:
    """One operation on its way to AWS: its name and parameters in boto3's words."""

    service: str
    operation: str
    params: Mapping[str, Any]
    protocol: str

    # Each behaviour asks for both, at each call.
    @cached_property
    def is_read(self) -> bool:
        return is_read(self.operation)

    @cached_property
    def key(self) -> str:
        return f"{self.operation} {json.dumps(self.params, sort_keys=True, default=str)}"


@dataclass(frozen=True)
class Refusal:
    """AWS's answer to what it does not carry out. about: what S3 names beside its message."""

    code: str
    message: str
    status: int = 400
    about: str = ""

    def wire(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        """The answer in the words of the service's protocol."""
        if call.operation.startswith("Head"):
            return self.status, {}, b""
        if call.protocol in ("rest-xml", "query"):
            about = f"<ArgumentName>{escape(self.about)}</ArgumentName>" if self.about else ""
            text = f"<Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
            error = f"<Error>{text}{about}</Error>"
            body = error if call.protocol == "rest-xml" else f"<ErrorResponse>{error}</ErrorResponse>"
            return self.status, {"Content-Type": "text/xml"}, body.encode()
        headers = {"x-amzn-errortype": self.code, "x-amzn-query-error": f"{self.code};Sender"}
        return self.status, headers, json.dumps({"__type": self.code, "message": self.message}).encode()


class Answer(Refusal):
    """A good answer of a JSON service to what moto does not know."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("", "", 200)
        self.__dict__["_answer"] = answer

    def wire(self, call: Call) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        headers = {"Content-Type": "application/json"}
        return self.status, headers, json.dumps(self.__dict__["_answer"]).encode()


class Behaviour:
    """One thing that AWS does and an emulator does not. Each subclass names its source in its docstring.

    lag: for how many simulated seconds it does it; without end it never passes.
    """

    lag = 0.0

    def __init__(self, lag: float | None = None) -> None:
        self.lag = self.lag if lag is None else lag

    @property
    def name(self) -> str:
        return type(self).__name__

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        """What AWS answers instead of carrying the call out; None if it has nothing against it."""

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:  # noqa: ARG002 - the interface
        """Whether this read still answers what it did before the last change."""
        return False

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:  # noqa: ARG002
        """Change a good answer in place; whether it did."""
        return False

    def after(self, account: BehavingAccount, call: Call) -> None:
        """What else becomes of a call that was carried out."""


@dataclass(frozen=True)
class _Happened:
    number: int
    at: float
    service: str
    operation: str
    params: Mapping[str, Any]


class Clock:
    """Simulated seconds for many threads: they pass when nobody is at work."""

    def __init__(self) -> None:
        self.now = 0.0
        self._busy: Counter[int] = Counter()  # by thread: how deep it is in `work`
        self._sleepers: list[tuple[float, int]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def __call__(self) -> float:
        return self.now

    @contextmanager
    def work(self) -> Iterator[None]:
        """While this lasts no time passes, unless this thread sleeps."""
        me = threading.get_ident()
        with self._changed:
            self._busy[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy[me] -= 1
                self._busy = +self._busy

    def sleep(self, seconds: float) -> None:
        me = threading.get_ident()
        with self._changed:
            depth = self._busy.pop(me, 0)
            mine = (self.now + seconds, next(self._numbers))
            heapq.heappush(self._sleepers, mine)
            while self.now < mine[0]:
                # Who wakes first moves the clock; the others are told.
                self._changed.wait(_QUIET_S if self._sleepers[0] == mine else None)
                if not self._busy and self._sleepers[0] == mine:
                    self.now = max(self.now, mine[0])
            self._sleepers.remove(mine)
            heapq.heapify(self._sleepers)
            if depth:
                self._busy[me] = depth
            self._changed.notify_all()


@dataclass
class BehavingAccount:
    """An account in which these behaviours show.

    met: how often each behaviour showed, by its name. carried_out: the changes that reached the account.
    """

    behaviours: Sequence[Behaviour]
    region: str = REGION
    clock: Clock = field(default_factory=Clock)
    met: Counter[str] = field(default_factory=Counter)
    history: list[_Happened] = field(default_factory=list)
    clients: dict[tuple[str, bool], Any] = field(default_factory=dict)
    _remembered: dict[str, tuple[int, Any, Any]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- what happened -------------------------------------------------------------------------

    def ago(self, operation: str, **params: Any) -> float:
        """Seconds since the operation was last carried out with these parameters; inf if it never was."""
        last = self.last(operation, **params)
        return math.inf if last is None else self.clock.now - last.at

    def last(self, operation: str, **params: Any) -> _Happened | None:
        with self._lock:
            for happened in reversed(self.history):
                if happened.operation == operation and params.items() <= happened.params.items():
                    return happened
        return None

    def is_there(self, made: str, removed: str, **params: Any) -> bool:
        """Whether something was made and not removed since."""
        both = (self.last(made, **params), self.last(removed, **params))
        numbers = [-1 if one is None else one.number for one in both]
        return numbers[0] > numbers[1]

    @property
    def writes(self) -> int:
        return len(self.history)

    # --- at the wire ---------------------------------------------------------------------------

    def listen(self, client: Any, attempts: int) -> None:
        """Stand between this client and moto."""
        events, service = client.meta.events, client.meta.service_model.service_id.hyphenize()
        events.unregister("before-send", botocore_stubber)
        events.register_first("before-parameter-build", self._note)
        events.register_first("before-send", self._answer)
        events.register("after-call", self._alter)
        # The SDK's own decision, but its pause on the simulated clock.
        standard = register_retry_handler(client, attempts)
        events.unregister(f"needs-retry.{service}", unique_id=f"{_RETRIES_OF}{service}")
        events.register(f"needs-retry.{service}", partial(self._retry, standard.needs_retry))
        client._make_api_call = partial(self._call, client._make_api_call)

    def _call(self, send: Callable[..., Any], *operation: Any) -> Any:
        with self.clock.work():  # an answer is altered at the moment at which it was decided
            return send(*operation)

    def _note(self, params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        service = model.service_model
        context["call"] = Call(service.service_name, model.name, params, service.resolved_protocol)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        status, headers, body = self._decide(request.context["call"], request)
        return AWSResponse(request.url, status, headers, MockRawResponse(body))

    def _decide(self, call: Call, request: Any) -> tuple[int, Any, Any]:
        with self._lock:  # what is decided is decided before anybody else's call
            for behaviour in self.behaviours:
                refusal = behaviour.refusal(self, call)
                if refusal is not None:
                    self.met[behaviour.name] += 1
                    return refusal.wire(call)
                if call.is_read and call.key in self._remembered and behaviour.looks_back(self, call):
                    self.met[behaviour.name] += 1
                    return self._remembered[call.key]
            status, headers, body = botocore_stubber.process_request(request)
            if call.is_read:
                self._remembered[call.key] = (status, headers, body)
            elif status < 300:
                number, now = len(self.history), self.clock.now
                self.history.append(_Happened(number, now, call.service, call.operation, call.params))
                for behaviour in self.behaviours:
                    behaviour.after(self, call)
            return status, headers, body

    def _alter(self, http_response: Any, parsed: dict[str, Any], context: Any, **_: Any) -> None:
        if http_response.status_code < 300:
            with self._lock:
                for behaviour in self.behaviours:
                    self.met[behaviour.name] += behaviour.alter(self, context["call"], parsed)

    def _retry(self, standard: Any, **attempt: Any) -> float | None:
        pause_s = standard(**attempt)
        if pause_s is None:
            return None
        self.clock.sleep(pause_s)
        return 0.0


class BehavingAws(Aws):
    """One run of imgpipe on that account: AWS's own endpoints, credentials from the environment."""

    def __init__(self, account: BehavingAccount) -> None:
        super().__init__(Place(region=account.region), sleep=account.clock.sleep, clock=account.clock)
        self._account = account
        self._clients = account.clients

    def _new_client(self, service: str, **how: Any) -> Any:
        client = super()._new_client(service, **how)
        self._account.listen(client, 1 if how.get("once") else self.backoff.timeouts.attempts)
        return client


@contextmanager
def behaving_account(*behaviours: Behaviour, region: str = REGION) -> Iterator[BehavingAccount]:
    with fresh_account():
        yield BehavingAccount(behaviours, region)
